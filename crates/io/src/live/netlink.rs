//! Which interfaces there are, and when they come and go (rtnetlink(7)).

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use super::sys::{self, Plain};

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;
const IFLA_IFNAME: u16 = 3;
const IFF_UP: u32 = 1;
const HEADER: usize = 16;
const LINK: usize = 16;

#[repr(C)]
#[derive(Clone, Copy)]
struct Address {
    family: u16,
    pad: u16,
    pid: u32,
    groups: u32,
}
// SAFETY: 2 + 2 + 4 + 4 bytes, each at a multiple of its size.
#[allow(unsafe_code)]
unsafe impl Plain for Address {}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number, which is never used again.
    pub ifindex: i32,
    /// Its name now.
    pub name: String,
    /// Its hardware type.
    pub hatype: u16,
    /// Whether it is up.
    pub up: bool,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An interface is there, or has changed.
    There(Link),
    /// It is gone.
    Gone(i32),
    /// The kernel had more to say than there was room for: ask for all.
    Missed,
}

/// A socket that tells of interfaces.
pub struct Links {
    socket: File,
    buffer: Vec<u8>,
}

impl Links {
    /// Opens it. Needs no privileges. All interfaces that there are come as the first events.
    pub fn open() -> io::Result<Self> {
        let socket = sys::socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)?;
        let address =
            Address { family: libc::AF_NETLINK as u16, pad: 0, pid: 0, groups: libc::RTMGRP_LINK as u32 };
        sys::bind(&socket, &address)?;
        let mut links = Self { socket: socket.into(), buffer: vec![0; 64 << 10] };
        links.ask()?;
        Ok(links)
    }

    /// Asks for all interfaces; they come as events.
    pub fn ask(&mut self) -> io::Result<()> {
        let mut request = [0_u8; HEADER + LINK];
        request[..4].copy_from_slice(&((HEADER + LINK) as u32).to_ne_bytes());
        request[4..6].copy_from_slice(&RTM_GETLINK.to_ne_bytes());
        request[6..8].copy_from_slice(&(NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
        match self.socket.write(&request) {
            // A dump is under way already.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }

    /// Appends what has happened since the last call. Never waits.
    pub fn events(&mut self, out: &mut Vec<Event>) -> io::Result<()> {
        loop {
            match self.socket.read(&mut self.buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => parse(&self.buffer[..n], out),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    out.push(Event::Missed);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for Links {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The interfaces that there are now.
pub fn all() -> io::Result<Vec<Link>> {
    let mut links = Links::open()?;
    let mut events = Vec::new();
    // The answer to a request for all is in the socket when the request is written; it only has to be taken in
    // pieces, each of which brings the next.
    links.events(&mut events)?;
    let mut found: Vec<Link> = Vec::new();
    for event in events {
        match event {
            Event::There(link) => {
                found.retain(|l| l.ifindex != link.ifindex);
                found.push(link);
            }
            Event::Gone(ifindex) => found.retain(|l| l.ifindex != ifindex),
            Event::Missed => {}
        }
    }
    Ok(found)
}

/// The events in one or more messages.
fn parse(mut bytes: &[u8], out: &mut Vec<Event>) {
    while let Some(header) = bytes.first_chunk::<HEADER>() {
        let len = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let Some(message) = bytes.get(HEADER..len) else {
            return;
        };
        match u16::from_ne_bytes([header[4], header[5]]) {
            NLMSG_DONE | NLMSG_ERROR => {}
            kind @ (RTM_NEWLINK | RTM_DELLINK) => out.extend(event(kind, message)),
            _ => {}
        }
        bytes = bytes.get(aligned(len)..).unwrap_or_default();
    }
}

fn event(kind: u16, message: &[u8]) -> Option<Event> {
    let info: &[u8; LINK] = message.first_chunk()?;
    // Of a bridge there are messages about its ports, too.
    if info[0] != libc::AF_UNSPEC as u8 {
        return None;
    }
    let ifindex = i32::from_ne_bytes([info[4], info[5], info[6], info[7]]);
    if kind == RTM_DELLINK {
        return Some(Event::Gone(ifindex));
    }
    let flags = u32::from_ne_bytes([info[8], info[9], info[10], info[11]]);
    let name = attribute(&message[LINK..], IFLA_IFNAME)?;
    let name = name.split(|&b| b == 0).next().unwrap_or_default();
    Some(Event::There(Link {
        ifindex,
        name: String::from_utf8_lossy(name).into_owned(),
        hatype: u16::from_ne_bytes([info[2], info[3]]),
        up: flags & IFF_UP != 0,
    }))
}

fn attribute(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let header: &[u8; 4] = bytes.first_chunk()?;
        let len = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let value = bytes.get(4..len)?;
        if u16::from_ne_bytes([header[2], header[3]]) == wanted {
            return Some(value);
        }
        bytes = bytes.get(aligned(len)..)?;
    }
}

const fn aligned(len: usize) -> usize {
    (len + 3) & !3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, family: u8, ifindex: i32, name: &str) -> Vec<u8> {
        let mut body = vec![family, 0];
        body.extend(1_u16.to_ne_bytes());
        body.extend(ifindex.to_ne_bytes());
        body.extend(IFF_UP.to_ne_bytes());
        body.extend([0; 4]);
        for (kind, value) in [(9_u16, &b"abc"[..]), (IFLA_IFNAME, &[name.as_bytes(), &[0]].concat())] {
            body.extend(((value.len() + 4) as u16).to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(value);
            body.resize(aligned(body.len()), 0);
        }
        let mut all = ((body.len() + HEADER) as u32).to_ne_bytes().to_vec();
        all.extend(kind.to_ne_bytes());
        all.extend([0; 10]);
        all.extend(body);
        all
    }

    #[test]
    fn interfaces_come_change_and_go() {
        let bytes = [
            message(RTM_NEWLINK, 0, 7, "veth0"),
            message(RTM_NEWLINK, 7, 7, "port of a bridge"),
            message(RTM_DELLINK, 0, 7, "veth0"),
        ]
        .concat();
        let mut events = Vec::new();
        parse(&bytes, &mut events);
        let link = Link { ifindex: 7, name: "veth0".into(), hatype: 1, up: true };
        assert_eq!(events, [Event::There(link), Event::Gone(7)]);
    }

    #[test]
    fn messages_that_are_cut_or_lie_end_without_harm() {
        let whole = message(RTM_NEWLINK, 0, 7, "veth0");
        for len in 0..whole.len() {
            parse(&whole[..len], &mut Vec::new());
        }
        for at in 0..whole.len() {
            for value in [0, 1, 3, 0x7f, 0xff] {
                let mut broken = whole.clone();
                broken[at] = value;
                parse(&broken, &mut Vec::new());
            }
        }
    }

    #[test]
    fn the_loopback_interface_is_there() {
        let links = all().unwrap();
        assert!(links.iter().any(|l| l.name == "lo" && l.hatype == super::super::hardware::LOOPBACK));
    }
}
