//! Whose bytes stay when two segments give different ones for one range.
//!
//! Each byte that waits has an owner, the segment that gave it. A new segment takes the byte over or
//! not; that depends only on how the two segments lie to each other. Systems differ here, which was
//! measured by Novak and Sturges (*Target-Based TCP Stream Reassembly*, 2007); the names are those
//! of Suricata and Snort, the rules those of Suricata where the two differ.

/// Rule for conflicting bytes that were not yet handed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// What was received stays (RFC 9293 section 3.10.7.4).
    #[default]
    First,
    /// What came last.
    Last,
    /// Linux since 2.2: new bytes of a segment that begins earlier, or at the same place and ends later.
    Linux,
    /// Linux before 2.2: like `Linux`, and an equal range is taken anew.
    OldLinux,
    /// BSD: new bytes of a segment that begins earlier.
    Bsd,
    /// Solaris: new bytes of a segment that covers the old one, or begins and ends later.
    Solaris,
    /// HP-UX 10: as `Bsd`.
    HpUx10,
    /// HP-UX 11: as `Solaris`.
    HpUx11,
    /// IRIX: as `Bsd`.
    Irix,
    /// macOS: as `Bsd`.
    MacOs,
    /// Windows before Vista: as `Bsd`.
    Windows,
    /// Windows Server 2003: as `Bsd`.
    Windows2k3,
    /// Windows since Vista: as `First`.
    Vista,
}

impl Policy {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::First,
        Self::Last,
        Self::Linux,
        Self::OldLinux,
        Self::Bsd,
        Self::Solaris,
        Self::HpUx10,
        Self::HpUx11,
        Self::Irix,
        Self::MacOs,
        Self::Windows,
        Self::Windows2k3,
        Self::Vista,
    ];

    /// The stable name, as it stands in options.
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Last => "last",
            Self::Linux => "linux",
            Self::OldLinux => "old-linux",
            Self::Bsd => "bsd",
            Self::Solaris => "solaris",
            Self::HpUx10 => "hpux10",
            Self::HpUx11 => "hpux11",
            Self::Irix => "irix",
            Self::MacOs => "macos",
            Self::Windows => "windows",
            Self::Windows2k3 => "windows2k3",
            Self::Vista => "vista",
        }
    }

    /// The policy of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.name() == name)
    }

    /// Whether bytes may be handed on as soon as they are in order: no later segment can win.
    pub(super) fn keeps_first(self) -> bool {
        matches!(self, Self::First | Self::Vista)
    }

    /// Whether a new segment takes over a byte that both it and the old one have.
    /// Each is given as its begin and end.
    pub fn takes_new(self, new: (i64, i64), old: (i64, i64)) -> bool {
        let earlier = new.0 < old.0;
        let same = new.0 == old.0;
        match self {
            Self::First | Self::Vista => false,
            Self::Last => true,
            Self::Linux => earlier || (same && new.1 > old.1),
            Self::OldLinux => earlier || (same && new.1 >= old.1),
            Self::Bsd | Self::HpUx10 | Self::Irix | Self::MacOs | Self::Windows | Self::Windows2k3 => earlier,
            Self::Solaris | Self::HpUx11 => {
                if earlier || same {
                    new.1 >= old.1
                } else {
                    new.1 > old.1
                }
            }
        }
    }
}
