//! The system calls that nothing wraps: packet sockets, their ring, socket options of any kind.

#![allow(unsafe_code)]

use std::io;
use std::mem::{size_of, MaybeUninit};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;

/// Types that are what their bytes are: any bytes are a value, and none of them is padding that says nothing.
///
/// # Safety
/// The type is `repr(C)`, holds only integers and has no padding.
pub unsafe trait Plain: Copy {}

// SAFETY: an integer.
unsafe impl Plain for i32 {}

fn done(result: i32) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// A socket that is closed on exec and never blocks.
pub fn socket(domain: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes integers; what comes back is a new descriptor that nobody else owns.
    unsafe {
        let fd = done(libc::socket(domain, kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, protocol))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Binds to an address of the socket's own kind.
pub fn bind<T: Plain>(socket: impl AsFd, address: &T) -> io::Result<()> {
    let len = size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel reads `len` bytes of a value that lives until the call returns.
    done(unsafe { libc::bind(socket.as_fd().as_raw_fd(), std::ptr::from_ref(address).cast(), len) })?;
    Ok(())
}

/// Sets a socket option.
pub fn set_option<T: Plain>(socket: impl AsFd, level: i32, name: i32, value: &T) -> io::Result<()> {
    let len = size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel reads `len` bytes of a value that lives until the call returns.
    done(unsafe {
        libc::setsockopt(socket.as_fd().as_raw_fd(), level, name, std::ptr::from_ref(value).cast(), len)
    })?;
    Ok(())
}

/// Reads a socket option; bytes that the kernel does not fill are zero.
pub fn option<T: Plain>(socket: impl AsFd, level: i32, name: i32) -> io::Result<T> {
    let mut value = MaybeUninit::<T>::zeroed();
    let mut len = size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes, which is the size of the value; zeros are a value of `T`.
    unsafe {
        done(libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            value.as_mut_ptr().cast(),
            &raw mut len,
        ))?;
        Ok(value.assume_init())
    }
}

/// Puts a filter in front of a socket, in the place of the one before.
pub fn attach(socket: impl AsFd, program: &[[u8; 8]]) -> io::Result<()> {
    let mut code: Vec<libc::sock_filter> = program
        .iter()
        .map(|i| libc::sock_filter {
            code: u16::from_le_bytes([i[0], i[1]]),
            jt: i[2],
            jf: i[3],
            k: u32::from_le_bytes([i[4], i[5], i[6], i[7]]),
        })
        .collect();
    let len = u16::try_from(code.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?;
    let whole = libc::sock_fprog { len, filter: code.as_mut_ptr() };
    // SAFETY: the kernel copies `len` instructions from `code`, which lives until the call returns, and verifies them.
    done(unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const whole).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    })?;
    Ok(())
}

/// Memory that the kernel writes packets to, in blocks of one size.
pub struct Map {
    at: NonNull<u8>,
    block: usize,
    blocks: usize,
}

// SAFETY: the memory belongs to the value alone, which gives out references as Rust demands.
unsafe impl Send for Map {}

/// Where the status word of a block lies; what is behind it belongs to whom the status says.
const STATUS: usize = 8;
/// What [`Map::bytes`] leaves out of a block.
pub const BEFORE: usize = STATUS + 4;

impl Map {
    /// Maps the ring of a packet socket. A block is a multiple of the page size and longer than [`BEFORE`].
    pub fn new(socket: impl AsFd, block: usize, blocks: usize) -> io::Result<Self> {
        assert!(block > BEFORE && blocks > 0);
        let len = block.checked_mul(blocks).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: a new mapping at a place of the kernel's choice replaces nothing.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                socket.as_fd().as_raw_fd(),
                0,
            )
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let at = NonNull::new(at.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { at, block, blocks })
    }

    /// Bytes of all blocks.
    pub fn len(&self) -> usize {
        self.block * self.blocks
    }

    /// The status word of a block: who owns it.
    pub fn status(&self, block: usize) -> &AtomicU32 {
        assert!(block < self.blocks);
        // SAFETY: inside the mapping, which lives as long as `self`; pages are aligned to more than four; both
        // sides use the word atomically only, and `bytes` leaves it out.
        unsafe { AtomicU32::from_ptr(self.at.add(block * self.block + STATUS).as_ptr().cast()) }
    }

    /// The bytes of a block behind its status word.
    ///
    /// # Safety
    /// The status word was seen (acquire) to give the block to user space, and has not been written since.
    pub unsafe fn bytes(&mut self, block: usize) -> &mut [u8] {
        assert!(block < self.blocks);
        // Inside the mapping; the kernel does not write to a block that is not its own, and `&mut self` keeps
        // out everyone else here.
        std::slice::from_raw_parts_mut(self.at.add(block * self.block + BEFORE).as_ptr(), self.block - BEFORE)
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, whole, and no reference to it outlives `self`.
        unsafe { libc::munmap(self.at.as_ptr().cast(), self.block * self.blocks) };
    }
}
