//! Large pieces of memory in large pages.
//!
//! The operating system gives memory page by page when it is first written to. A table of a million
//! flows is fifty thousand pages of 4 KiB, and every look at a flow misses the processor's
//! table of pages. With pages of 2 MiB both costs are gone.

use std::alloc::{GlobalAlloc, Layout, System};

/// A large page on the processors in use, and the size from which on memory is asked for in them.
const LARGE: usize = 2 << 20;

/// The allocator of the system, which asks for large pages where they pay.
///
/// It is a wish: where the system has no large pages, memory is given in small ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct LargePages;

// Memory comes from `System` and goes back to it, so what `GlobalAlloc` demands holds as it does
// there. A larger alignment than asked for is allowed; on Linux `System` frees memory of any alignment
// by the pointer alone, and moves it so if the alignment asked for is that of `malloc`.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for LargePages {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() < LARGE || !cfg!(target_os = "linux") {
            return System.alloc(layout);
        }
        let aligned = layout.align_to(LARGE).unwrap_or(layout);
        wish(System.alloc(aligned), layout.size())
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // Not aligned: then the system's memory, which is zero already, would be zeroed once more.
        wish(System.alloc_zeroed(layout), layout.size())
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        System.dealloc(memory, layout);
    }

    #[inline]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        wish(System.realloc(memory, layout, size), size)
    }
}

/// Wishes for large pages in the whole ones of `size` bytes at `memory`.
#[inline]
fn wish(memory: *mut u8, size: usize) -> *mut u8 {
    if size >= LARGE && !memory.is_null() {
        advise(memory, size);
    }
    memory
}

#[cfg(target_os = "linux")]
#[cold]
#[allow(unsafe_code)]
fn advise(memory: *mut u8, size: usize) {
    use rustix::mm::{madvise, Advice};
    let skip = memory.addr().wrapping_neg() % LARGE;
    let len = size.saturating_sub(skip) / LARGE * LARGE;
    if len > 0 {
        // SAFETY: the range lies inside of memory that was just given to us, and the advice changes
        // no content. A refusal leaves small pages.
        let _ = unsafe { madvise(memory.wrapping_add(skip).cast(), len, Advice::LinuxHugepage) };
    }
}

#[cfg(not(target_os = "linux"))]
fn advise(_: *mut u8, _: usize) {}

#[cfg(test)]
#[allow(unsafe_code)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_any_size_keeps_its_content_when_it_moves() {
        let sizes = [1, 4096, LARGE - 1, LARGE, LARGE + 1, 5 * LARGE + 17, 100, 3 * LARGE];
        for zeroed in [false, true] {
            let mut layout = Layout::from_size_align(64, 16).unwrap();
            // SAFETY: each pointer is used within its size, moved or freed once with its own layout.
            unsafe {
                let mut at = if zeroed { LargePages.alloc_zeroed(layout) } else { LargePages.alloc(layout) };
                at.write_bytes(0xa5, layout.size());
                for size in sizes {
                    let held = layout.size().min(size);
                    at = LargePages.realloc(at, layout, size);
                    layout = Layout::from_size_align(size, 16).unwrap();
                    let kept = std::slice::from_raw_parts(at, held);
                    assert!(kept.iter().all(|&b| b == 0xa5), "{size}");
                    at.write_bytes(0xa5, size);
                }
                LargePages.dealloc(at, layout);
            }
        }
    }

    #[test]
    fn zeroed_memory_is_zero_and_aligned_as_asked() {
        for (size, align) in [(LARGE, 8), (3 * LARGE + 5, 4096), (100, 64)] {
            let layout = Layout::from_size_align(size, align).unwrap();
            // SAFETY: as above.
            unsafe {
                let at = LargePages.alloc(layout);
                assert_eq!(at.addr() % align, 0);
                at.write_bytes(1, size);
                LargePages.dealloc(at, layout);
                let at = LargePages.alloc_zeroed(layout);
                assert_eq!(at.addr() % align, 0);
                assert!(std::slice::from_raw_parts(at, size).iter().all(|&b| b == 0));
                LargePages.dealloc(at, layout);
            }
        }
    }
}
