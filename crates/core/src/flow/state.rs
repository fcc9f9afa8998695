//! One word for how far a session has come.

use super::client::client;
use super::session::{seen, Flow};

const TCP: u8 = 6;

/// All states, in the order of the numbers that [`state`] gives.
pub const NAMES: [&str; 9] =
    ["one-way", "two-way", "attempt", "rejected", "open", "half-closed", "closed", "reset", "midstream"];

/// The state of a flow at its last packet, as an index into [`NAMES`].
///
/// For TCP:
/// `attempt` only the client was heard; `rejected` the server answered the SYN with a RST;
/// `open` both spoke and nobody has ended it; `half-closed` one FIN; `closed` both FINs; `reset` a RST;
/// `midstream` no handshake was seen and no end either. For all else `one-way` or `two-way`.
pub fn state(flow: &Flow) -> usize {
    let [lo, hi] = &flow.side;
    if flow.key.proto != TCP {
        return usize::from(lo.packets > 0 && hi.packets > 0);
    }
    let (c, _) = client(flow);
    let (client, server) = (&flow.side[c], &flow.side[1 - c]);
    let both = client.seen | server.seen;
    let handshake = both & seen::SYN != 0;
    if both & seen::RST != 0 {
        let refused = client.seen & seen::SYN != 0
            && server.seen & seen::RST != 0
            && server.seen & (seen::SYN | seen::DATA | seen::FIN) == 0;
        return if refused { 3 } else { 7 };
    }
    match (client.seen & seen::FIN != 0, server.seen & seen::FIN != 0) {
        (true, true) => 6,
        (true, false) | (false, true) => 5,
        (false, false) if !handshake => 8,
        (false, false) if server.packets == 0 => 2,
        (false, false) => 4,
    }
}

/// The name of [`state`].
pub fn name(flow: &Flow) -> &'static str {
    NAMES[state(flow)]
}
