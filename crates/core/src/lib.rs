//! The pure core of flowkeep: bytes in, decisions out.
//!
//! The stages stand in the order in which a packet meets them. A module uses
//! only what stands to its left:
//!
//! ```text
//! record ─ packet ─ flow ─ cut · identify · search · select · stream ─ pipe
//!             └── carve
//! ```
//!
//! * [`record`] finds the packet records of pcap and pcapng bytes.
//! * [`packet`] reads the headers of one packet and says to which flow it belongs.
//! * [`carve`] finds packets in bytes that are no capture.
//! * [`flow`] keeps the flow table: sessions, counters, and summaries that merge.
//! * [`cut`] decides which packets of a flow are kept.
//! * [`select`] says which packets are looked at at all (BPF programs), and which flows are wanted.
//! * [`search`] finds bytes in the payloads of flows.
//! * [`stream`] puts the bytes of TCP connections in order.
//! * [`identify`] names the protocol of a flow by what is said in it.
//! * [`pipe`] runs the stages over a whole input, on as many threads as asked.
//!
//! The core opens no file, reads no clock and holds no `unsafe`.

#![forbid(unsafe_code)]

pub mod cache;
pub mod carve;
pub mod cut;
pub mod error;
pub mod flow;
pub mod identify;
pub mod packet;
pub mod pipe;
pub mod record;
pub mod search;
pub mod select;
pub mod stream;
