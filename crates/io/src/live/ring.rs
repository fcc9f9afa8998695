//! A packet socket and its ring (TPACKET_V3, Documentation/networking/packet_mmap of the Linux kernel).

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;

use super::sys::{self, Map, Plain};

/// Bytes in front of each frame that are ours to write to: for a VLAN tag or a cooked header.
pub const RESERVE: usize = 32;
/// Milliseconds after which the kernel hands over a block that is not full.
const RETIRE_MS: u32 = 20;
/// A block holds the longest packets of the usual snap length, and is small enough that many make the ring.
const BLOCK: usize = 512 << 10;
/// Headers of a block and of a frame, rounded up generously.
const HEADERS: usize = 4096;

const PACKET_ADD_MEMBERSHIP: i32 = 1;
const PACKET_RX_RING: i32 = 5;
const PACKET_STATISTICS: i32 = 6;
const PACKET_VERSION: i32 = 10;
const PACKET_RESERVE: i32 = 12;
const PACKET_MR_PROMISC: u16 = 1;
const TPACKET_V3: i32 = 2;
const TP_STATUS_KERNEL: u32 = 0;
const TP_STATUS_USER: u32 = 1;
const ETH_P_ALL: u16 = 3;

#[repr(C)]
#[derive(Clone, Copy)]
struct Request {
    block_size: u32,
    block_nr: u32,
    frame_size: u32,
    frame_nr: u32,
    retire_blk_tov: u32,
    sizeof_priv: u32,
    feature_req_word: u32,
}
// SAFETY: seven integers of one size.
unsafe impl Plain for Request {}

#[repr(C)]
#[derive(Clone, Copy)]
struct Statistics {
    packets: u32,
    drops: u32,
    freezes: u32,
}
// SAFETY: three integers of one size.
unsafe impl Plain for Statistics {}

#[repr(C)]
#[derive(Clone, Copy)]
struct Membership {
    ifindex: i32,
    kind: u16,
    len: u16,
    address: [u8; 8],
}
// SAFETY: 4 + 2 + 2 + 8 bytes, each at a multiple of its size.
unsafe impl Plain for Membership {}

#[repr(C)]
#[derive(Clone, Copy)]
struct Address {
    family: u16,
    protocol: u16,
    ifindex: i32,
    hatype: u16,
    pkttype: u8,
    halen: u8,
    address: [u8; 8],
}
// SAFETY: 2 + 2 + 4 + 2 + 1 + 1 + 8 bytes, each at a multiple of its size.
unsafe impl Plain for Address {}

/// What the kernel counted since it was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Packets that passed the filter, those that were dropped included.
    pub packets: u64,
    /// Packets for which the ring had no room.
    pub dropped: u64,
}

/// An open packet socket with its ring.
pub struct Ring {
    socket: OwnedFd,
    map: Map,
    blocks: usize,
    next: usize,
}

impl Ring {
    /// Opens a socket that gets nothing yet: it has its filter and its ring before it is bound.
    ///
    /// This is the one step that needs CAP_NET_RAW. `size` is rounded to whole blocks.
    pub fn open(size: usize, snap_length: u32, program: &[[u8; 8]]) -> io::Result<Self> {
        // Protocol 0: no packet comes in before `bind`.
        let socket = sys::socket(libc::AF_PACKET, libc::SOCK_RAW, 0)?;
        sys::attach(&socket, program)?;
        sys::set_option(&socket, libc::SOL_PACKET, PACKET_VERSION, &TPACKET_V3)?;
        sys::set_option(&socket, libc::SOL_PACKET, PACKET_RESERVE, &(RESERVE as i32))?;
        let block = BLOCK.max((snap_length as usize + HEADERS).next_power_of_two());
        let blocks = (size / block).max(2);
        let too_large = |_| io::Error::from_raw_os_error(libc::EINVAL);
        let frame_size = 4096_u32;
        let request = Request {
            block_size: u32::try_from(block).map_err(too_large)?,
            block_nr: u32::try_from(blocks).map_err(too_large)?,
            frame_size,
            frame_nr: u32::try_from(block / frame_size as usize * blocks).map_err(too_large)?,
            retire_blk_tov: RETIRE_MS,
            sizeof_priv: 0,
            feature_req_word: 0,
        };
        sys::set_option(&socket, libc::SOL_PACKET, PACKET_RX_RING, &request)?;
        let map = Map::new(&socket, block, blocks)?;
        Ok(Self { socket, map, blocks, next: 0 })
    }

    /// Takes packets of this interface from now on, and no longer of the one before; 0 is all interfaces.
    pub fn bind(&self, ifindex: i32) -> io::Result<()> {
        let address = Address {
            family: libc::AF_PACKET as u16,
            protocol: ETH_P_ALL.to_be(),
            ifindex,
            hatype: 0,
            pkttype: 0,
            halen: 0,
            address: [0; 8],
        };
        sys::bind(&self.socket, &address)
    }

    /// Makes an interface take in what is not for it, as long as the socket is open.
    pub fn promiscuous(&self, ifindex: i32) -> io::Result<()> {
        let membership = Membership { ifindex, kind: PACKET_MR_PROMISC, len: 0, address: [0; 8] };
        sys::set_option(&self.socket, libc::SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership)
    }

    /// Lets no further packet in. What is in the ring stays.
    pub fn close_door(&self) -> io::Result<()> {
        sys::attach(&self.socket, &[[6, 0, 0, 0, 0, 0, 0, 0]])
    }

    /// The next block that the kernel has handed over, from its first byte behind the status word on.
    ///
    /// It is given back by [`release`](Self::release); until then this returns the same one.
    pub fn block(&mut self) -> Option<&mut [u8]> {
        if self.map.status(self.next).load(Ordering::Acquire) & TP_STATUS_USER == 0 {
            return None;
        }
        // SAFETY: the block is ours, as was just seen.
        Some(unsafe { self.map.bytes(self.next) })
    }

    /// Gives the block of the last call of [`block`](Self::block) back to the kernel.
    pub fn release(&mut self) {
        self.map.status(self.next).store(TP_STATUS_KERNEL, Ordering::Release);
        self.next = (self.next + 1) % self.blocks;
    }

    /// What the kernel counted since the last call.
    pub fn counted(&self) -> io::Result<Counted> {
        let s: Statistics = sys::option(&self.socket, libc::SOL_PACKET, PACKET_STATISTICS)?;
        Ok(Counted { packets: s.packets.into(), dropped: s.drops.into() })
    }

    /// Takes the error that waits on the socket, such as that its interface is down.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        let number: i32 = sys::option(&self.socket, libc::SOL_SOCKET, libc::SO_ERROR)?;
        Ok((number != 0).then(|| io::Error::from_raw_os_error(number)))
    }

    /// Bytes of the ring.
    pub fn size(&self) -> usize {
        self.map.len()
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
