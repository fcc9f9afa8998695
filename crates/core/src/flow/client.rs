//! Which end of a flow is the client.

use super::session::{flag, Flow};

const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;
const UDP_LITE: u8 = 136;

/// Ports from 1024 on that belong to services, sorted.
const SERVICE_PORTS: [u16; 40] = [
    1080, 1194, 1433, 1521, 1701, 1723, 1883, 2049, 3128, 3268, 3306, 3389, 3478, 4500, 4789, 5060, 5061,
    5222, 5353, 5355, 5432, 5672, 5900, 5985, 6379, 6443, 8000, 8008, 8080, 8081, 8443, 8883, 8888, 9000,
    9042, 9092, 9200, 9418, 11211, 27017,
];

/// The client's end (0: the key's `lo`, 1: its `hi`) and whether that is a guess.
///
/// Who sent the SYN; else who received the SYN/ACK; else the better guess by port: the end whose
/// port is the only one below 1024, or the only one in a short list of service ports, is the
/// server; else who sent first. An end that talks to itself sends all as the client. Only the handshake of
/// TCP is certain: of a ping, too, the capture may have missed the request.
pub fn client(flow: &Flow) -> (usize, bool) {
    if flow.flags & flag::SYN != 0 {
        return (usize::from(flow.flags & flag::SYN_HI != 0), false);
    }
    if flow.key.is_one_end() {
        return (0, flow.flags & flag::SYN_ACK == 0);
    }
    if flow.flags & flag::SYN_ACK != 0 {
        return (usize::from(flow.flags & flag::SYN_ACK_HI == 0), false);
    }
    let first = usize::from(flow.flags & flag::HEAD_HI != 0);
    if !with_ports(flow.key.proto) {
        return (first, true);
    }
    let (lo, hi) = (flow.key.lo_port, flow.key.hi_port);
    for serves in [is_well_known, is_service] {
        match (serves(lo), serves(hi)) {
            (true, false) => return (1, true),
            (false, true) => return (0, true),
            _ => {}
        }
    }
    (first, true)
}

fn with_ports(proto: u8) -> bool {
    matches!(proto, TCP | UDP | SCTP | UDP_LITE)
}

fn is_well_known(port: u16) -> bool {
    port < 1024
}

fn is_service(port: u16) -> bool {
    port != 0 && SERVICE_PORTS.contains(&port)
}
