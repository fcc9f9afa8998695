//! What comes out: data, and all that is not certain about it.

use super::segment::Origin;

/// Why bytes of a stream are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GapReason {
    /// No segment with these bytes is in the capture.
    NotCaptured,
    /// A policy cut the packets, see [`Connection::mark_cut`](super::Connection::mark_cut).
    CutByPolicy,
    /// The segment is there, but the capture's snap length cut these bytes off.
    Snapped,
}

impl GapReason {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotCaptured => "not_captured",
            Self::CutByPolicy => "cut_by_policy",
            Self::Snapped => "snapped",
        }
    }
}

macro_rules! anomalies {
    ($($(#[$doc:meta])* $id:ident = $name:literal,)*) => {
        /// Something odd. Where bytes come with it, they were captured and not written.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Anomaly { $($(#[$doc])* $id,)* }

        impl Anomaly {
            /// All of them.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$id),*];

            /// The stable name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$id => $name,)* }
            }
        }
    };
}

anomalies! {
    /// Bytes for a gap that was already declared.
    Late = "late",
    /// Bytes before the place where the stream begins.
    BeforeStart = "before_start",
    /// Bytes outside of the window that the receiver had offered; it never acknowledged them.
    OutsideWindow = "outside_window",
    /// Bytes a little beyond the window; they were written, as nothing else fills their place.
    BeyondWindow = "beyond_window",
    /// Bytes behind the FIN.
    DataAfterFin = "data_after_fin",
    /// Bytes of either end after a RST.
    DataAfterReset = "data_after_reset",
    /// Bytes in a RST segment itself (RFC 9293 section 3.5.3: a text that says why).
    DataOnReset = "data_on_reset",
    /// Bytes with a bad checksum from an end whose checksums are good otherwise.
    BadChecksum = "bad_checksum",
    /// All checksums of this end are bad: its network card fills them in. Its bytes are taken.
    ChecksumOffload = "checksum_offload",
    /// A segment without the ACK flag; receivers drop it (RFC 9293 section 3.10.7.4).
    NoAckFlag = "no_ack_flag",
    /// A segment in doubt was written after all: the receiver acknowledged bytes that only it gave.
    TakenByAck = "taken_by_ack",
    /// Data goes on far beyond the known window, so that window is not the true one; it is no longer used.
    WindowUnknown = "window_unknown",
    /// A keep-alive: one byte before the next, with other content.
    KeepAlive = "keep_alive",
    /// A RST that does not lie in the window. Nothing was reset.
    ResetOutsideWindow = "reset_outside_window",
    /// The connection went on after a RST.
    ResetNotTaken = "reset_not_taken",
    /// A FIN inside of data that was already sent, or at another place than the first one. Ignored.
    FinMisplaced = "fin_misplaced",
    /// The connection went on behind a FIN.
    FinNotTaken = "fin_not_taken",
    /// A SYN with another sequence number on a connection that is open.
    SynAgain = "syn_again",
    /// That SYN was answered: a new connection on the same ports; offsets begin at 0 again.
    NewConnection = "new_connection",
    /// The stream's beginning was not captured; offset 0 is the first byte that was.
    MidStream = "mid_stream",
    /// A bound on memory was hit: a hole was declared a gap earlier than needed.
    BoundHit = "bound_hit",
    /// The receiver acknowledged one more than was captured, and no FIN was: a byte or the FIN is missing.
    FinOrByteNotCaptured = "fin_or_byte_not_captured",
    /// The first gap that a policy made, where the original length is not known: sequence numbers tell its
    /// length only modulo 4 GiB. The shortest is given.
    LengthModulo = "length_modulo_4gib",
    /// Packets of this stream were cut by policy and its FIN was not seen; how much is missing at its end is not known.
    CutTail = "cut_tail",
    /// IP fragments of one datagram gave different bytes for one place; what was there first stays.
    /// Where in the stream is not known: offset 0.
    FragmentOverlap = "fragment_overlap",
    /// A datagram never became whole: fragments of it were not captured, or a bound was hit. Offset 0.
    FragmentMissing = "fragment_missing",
}

/// What an event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// The next bytes of the stream, all given by the one frame in [`Event::origin`].
    Data {
        /// Offset in the stream.
        offset: u64,
        /// The bytes.
        bytes: &'a [u8],
        /// Where they begin in that frame's payload.
        skip: u32,
    },
    /// Bytes that are missing.
    Gap {
        /// Offset in the stream.
        offset: u64,
        /// How many.
        length: u64,
        /// Why.
        reason: GapReason,
    },
    /// Two versions of one range, from the first to the last byte that differs.
    Overlap {
        /// Offset in the stream.
        offset: u64,
        /// The version that is kept, or was handed on.
        kept: &'a [u8],
        /// The version that is not.
        other: &'a [u8],
        /// Where `kept` came from.
        kept_from: Origin,
        /// Where `other` came from.
        other_from: Origin,
    },
    /// A RST that counts.
    Reset {
        /// Its place in the stream of its sender.
        offset: i64,
    },
    /// The end of the stream: all before it was handed on.
    Fin {
        /// Length of the stream.
        offset: u64,
    },
    /// Something odd.
    Anomaly {
        /// Which.
        name: Anomaly,
        /// Its place; below 0 before the begin of the stream.
        offset: i64,
        /// Captured bytes that are not written because of it; empty where none are.
        bytes: &'a [u8],
    },
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Which end's stream: 0 or 1.
    pub dir: u8,
    /// How many times a new connection began on the same ports, see [`Anomaly::NewConnection`].
    pub epoch: u32,
    /// The frame that gave the data, or that made this known.
    pub origin: Origin,
    /// What it says.
    pub kind: Kind<'a>,
}

/// Takes events.
pub type Out<'o> = dyn FnMut(&Event<'_>) + 'o;

/// Where each captured payload byte of one direction went. After the end
/// `captured` is the sum of all others but `missing`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Payload bytes that came in.
    pub captured: u64,
    /// Given in `Data`.
    pub delivered: u64,
    /// The same bytes again.
    pub duplicate: u64,
    /// The version not kept, in ranges that `Overlap` reports.
    pub conflicting: u64,
    /// Again, but too long after the first time to compare.
    pub unchecked: u64,
    /// Not written, reported by an `Anomaly` with bytes.
    pub refused: u64,
    /// Behind the length that the IP header gives: Ethernet padding.
    pub padding: u64,
    /// Bytes in gaps.
    pub missing: u64,
    /// Holes declared as gaps because a bound was hit.
    pub bounds: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: &Self) {
        self.captured += other.captured;
        self.delivered += other.delivered;
        self.duplicate += other.duplicate;
        self.conflicting += other.conflicting;
        self.unchecked += other.unchecked;
        self.refused += other.refused;
        self.padding += other.padding;
        self.missing += other.missing;
        self.bounds += other.bounds;
    }

    /// Payload bytes whose fate is known.
    pub fn accounted(&self) -> u64 {
        self.delivered + self.duplicate + self.conflicting + self.unchecked + self.refused + self.padding
    }
}
