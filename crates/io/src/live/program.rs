//! Filter programs: what the kernel is given, and what is decided here.
//!
//! The programs that libpcap makes for capture files say of a frame what `tcpdump -r` would say of it. The kernel
//! runs them over frames as they will be kept, with two exceptions: a frame whose VLAN tag the network card or
//! the kernel took out, and a frame whose header is made here. Those the kernel lets through, and the
//! programs run over them once they are whole. So an expression means the same everywhere.
//!
//! One program serves all interfaces: it begins by asking for the hardware type. So it holds for interfaces that
//! come later, too.

use flowkeep_core::select::{Filter, Program, Verdict};

use super::hardware::{COOKED, ETHERNET, ETHERNETS, LOOPBACK, RAW, RAWS};

/// Instructions that the kernel takes (BPF_MAXINSNS).
const KERNEL_MAX: usize = 4096;
/// Ports that can be left out.
pub const MAX_PORTS: usize = 64;

const ANCILLARY: u32 = 0xffff_f000;
const PACKET_TYPE: u32 = ANCILLARY + 4;
const HARDWARE_TYPE: u32 = ANCILLARY + 28;
const TAG_PRESENT: u32 = ANCILLARY + 48;
const OUTGOING: u32 = 4;

const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF_AT_X: u16 = 0x48;
const LOAD_X_HEADER: u16 = 0xb1;
const LOAD_LENGTH: u16 = 0x80;
const X_TO_A: u16 = 0x87;
const A_TO_X: u16 = 0x07;
const ADD: u16 = 0x04;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const IF_EQUAL: u16 = 0x15;
const IF_BITS: u16 = 0x45;
const IF_AT_LEAST: u16 = 0x35;
const IF_AT_LEAST_X: u16 = 0x3d;
const RETURN: u16 = 0x06;

const TCP: u32 = 6;
const IPV4: u32 = 0x0800;
const IPV6: u32 = 0x86dd;
const TAGS: [u32; 3] = [0x8100, 0x88a8, 0x9100];

type Code = Vec<[u8; 8]>;

/// A filter with the programs it was made of, and the TCP ports whose packets are never taken from an interface.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    filter: Option<Filter>,
    /// The filter's programs by link type, for the kernel.
    programs: Vec<(u16, Vec<u8>)>,
    own: Vec<(u16, Program)>,
    ports: Vec<u16>,
}

impl Selection {
    /// `filter` with the bytes of its programs by link type; the ports of own control traffic, at most
    /// [`MAX_PORTS`].
    pub fn new(filter: Option<Filter>, programs: Vec<(u16, Vec<u8>)>, ports: Vec<u16>) -> Self {
        let own = if ports.is_empty() {
            Vec::new()
        } else {
            [ETHERNET, RAW, COOKED]
                .into_iter()
                .filter_map(|link| Some((link, own_program(link, &ports)?)))
                .collect()
        };
        Self { filter, programs, own, ports }
    }

    /// What the filter says of a packet that did not come from an interface.
    pub fn verdict(&self, link: u16, data: &[u8], original: u32) -> Verdict {
        self.filter.as_ref().map_or(Verdict::Match, |filter| filter.verdict(link, data, original))
    }

    /// What filter and ports say of a frame of an interface.
    pub fn verdict_live(&self, link: u16, data: &[u8], original: u32) -> Verdict {
        let own = self.own.iter().find(|(l, _)| *l == link);
        // It must not look behind what was captured.
        if own.is_some_and(|(_, program)| program.run(data, data.len() as u32) == 0) {
            return Verdict::NoMatch;
        }
        self.verdict(link, data, original)
    }

    /// Whether there is nothing to be decided.
    pub fn takes_all(&self) -> bool {
        self.filter.is_none() && self.ports.is_empty()
    }

    /// The kernel's program, and whether it decides about frames of this link type that are as the kernel saw them.
    pub fn attach(&self, snap_length: u32) -> Attached {
        let whole = self.build(snap_length, true);
        if whole.code.len() <= KERNEL_MAX {
            return whole;
        }
        self.build(snap_length, false)
    }

    fn build(&self, snap: u32, decides: bool) -> Attached {
        let mut asm = Assembler::default();
        let (ethernet, raw, all, none) = (asm.label(), asm.label(), asm.label(), asm.label());
        let not_loopback = asm.label();
        // What leaves by the loopback interface comes in again.
        asm.add(LOAD_WORD, HARDWARE_TYPE);
        asm.unless(IF_EQUAL, LOOPBACK.into(), not_loopback);
        asm.add(LOAD_WORD, PACKET_TYPE);
        asm.when(IF_EQUAL, OUTGOING, none);
        asm.place(not_loopback);
        let mut links = Vec::new();
        if decides && !self.takes_all() {
            asm.add(LOAD_WORD, TAG_PRESENT);
            asm.unless(IF_EQUAL, 0, all);
            asm.add(LOAD_WORD, HARDWARE_TYPE);
            for (link, label, types) in [(ETHERNET, ethernet, &ETHERNETS[..]), (RAW, raw, &RAWS[..])] {
                if self.has(link) {
                    links.push(link);
                    for hardware in types {
                        asm.when(IF_EQUAL, u32::from(*hardware), label);
                    }
                }
            }
        }
        asm.jump(all);
        for (link, label) in [(ETHERNET, ethernet), (RAW, raw)] {
            asm.place(label);
            if links.contains(&link) {
                let own = own_code(link, &self.ports);
                // It falls through where it would return "keep".
                asm.append(&own[..own.len() - 1], snap);
                if let Some(program) = self.program(link) {
                    asm.append(program.as_chunks().0, snap);
                } else {
                    asm.add(RETURN, snap);
                }
            }
        }
        asm.place(all);
        asm.add(RETURN, snap);
        asm.place(none);
        asm.add(RETURN, 0);
        Attached { code: asm.finish(), links }
    }

    /// Whether the kernel can decide about this link type.
    fn has(&self, link: u16) -> bool {
        self.filter.is_none() || self.program(link).is_some()
    }

    fn program(&self, link: u16) -> Option<&[u8]> {
        self.programs.iter().find(|(l, _)| *l == link).map(|(_, bytes)| &bytes[..])
    }
}

/// A program for the kernel.
#[derive(Clone, Debug)]
pub struct Attached {
    /// Its instructions, as `struct bpf_insn` lies in little-endian memory.
    pub code: Vec<[u8; 8]>,
    /// Link types about which it decides.
    pub links: Vec<u16>,
}

/// Returns 0 for TCP packets from or to one of the ports, in the outermost IP header behind any VLAN tags.
fn own_program(link: u16, ports: &[u16]) -> Option<Program> {
    Program::decode(own_code(link, ports).as_flattened()).ok()
}

/// The same as code; its last instruction returns "keep", and everything that is kept ends there.
fn own_code(link: u16, ports: &[u16]) -> Code {
    let mut asm = Assembler::default();
    let keep = asm.label();
    if !ports.is_empty() {
        match link {
            RAW => {
                let six = asm.label();
                asm.need(1, keep);
                asm.add(LOAD_BYTE, 0);
                asm.add(AND, 0xf0);
                asm.when(IF_EQUAL, 0x60, six);
                asm.unless(IF_EQUAL, 0x40, keep);
                asm.ip4(0, ports, keep);
                asm.place(six);
                asm.ip6(0, ports, keep);
            }
            COOKED => asm.ethertype(0, 20, ports, keep),
            _ => {
                // At most two tags.
                for tags in 0..3 {
                    let (here, tagged) = (12 + 4 * tags, asm.label());
                    asm.need(here + 2, keep);
                    asm.add(LOAD_HALF, here);
                    for tag in TAGS {
                        asm.when(IF_EQUAL, tag, tagged);
                    }
                    asm.ethertype(here, here + 2, ports, keep);
                    asm.place(tagged);
                }
            }
        }
    }
    asm.place(keep);
    asm.add(RETURN, u32::MAX);
    asm.finish()
}

/// Writes programs with labels. Jumps are two instructions, so that no distance is too long.
#[derive(Default)]
struct Assembler {
    code: Code,
    labels: Vec<usize>,
    /// Instructions whose constant becomes the distance to a label.
    open: Vec<(usize, usize)>,
}

#[derive(Clone, Copy)]
struct Label(usize);

impl Assembler {
    fn label(&mut self) -> Label {
        self.labels.push(usize::MAX);
        Label(self.labels.len() - 1)
    }

    fn place(&mut self, label: Label) {
        self.labels[label.0] = self.code.len();
    }

    fn put(&mut self, code: u16, yes: u8, no: u8, k: u32) {
        let ([c0, c1], [k0, k1, k2, k3]) = (code.to_le_bytes(), k.to_le_bytes());
        self.code.push([c0, c1, yes, no, k0, k1, k2, k3]);
    }

    fn add(&mut self, code: u16, k: u32) {
        self.put(code, 0, 0, k);
    }

    fn jump(&mut self, to: Label) {
        self.open.push((self.code.len(), to.0));
        self.add(JUMP, 0);
    }

    fn when(&mut self, condition: u16, k: u32, to: Label) {
        self.put(condition, 0, 1, k);
        self.jump(to);
    }

    fn unless(&mut self, condition: u16, k: u32, to: Label) {
        self.put(condition, 1, 0, k);
        self.jump(to);
    }

    /// A whole program; what it keeps it keeps up to `snap` bytes.
    fn append(&mut self, program: &[[u8; 8]], snap: u32) {
        for i in program {
            let code = u16::from_le_bytes([i[0], i[1]]);
            let k = u32::from_le_bytes([i[4], i[5], i[6], i[7]]);
            let k = if code == RETURN && k != 0 { snap } else { k };
            self.put(code, i[2], i[3], k);
        }
    }

    /// Keeps what is shorter than so many bytes: a load behind the end would drop it.
    fn need(&mut self, len: u32, keep: Label) {
        self.add(LOAD_LENGTH, 0);
        self.unless(IF_AT_LEAST, len, keep);
    }

    /// An Ethernet type at `here`, what it announces at `at`.
    fn ethertype(&mut self, here: u32, at: u32, ports: &[u16], keep: Label) {
        let six = self.label();
        self.need(here + 2, keep);
        self.add(LOAD_HALF, here);
        self.when(IF_EQUAL, IPV6, six);
        self.unless(IF_EQUAL, IPV4, keep);
        self.ip4(at, ports, keep);
        self.place(six);
        self.ip6(at, ports, keep);
    }

    fn ip4(&mut self, at: u32, ports: &[u16], keep: Label) {
        self.need(at + 20, keep);
        self.add(LOAD_BYTE, at + 9);
        self.unless(IF_EQUAL, TCP, keep);
        self.add(LOAD_HALF, at + 6);
        self.when(IF_BITS, 0x1fff, keep);
        self.add(LOAD_X_HEADER, at);
        self.add(X_TO_A, 0);
        self.add(ADD, at + 4);
        self.add(A_TO_X, 0);
        self.add(LOAD_LENGTH, 0);
        self.unless(IF_AT_LEAST_X, 0, keep);
        self.add(LOAD_X_HEADER, at);
        self.ports(LOAD_HALF_AT_X, at, ports, keep);
    }

    fn ip6(&mut self, at: u32, ports: &[u16], keep: Label) {
        self.need(at + 44, keep);
        self.add(LOAD_BYTE, at + 6);
        self.unless(IF_EQUAL, TCP, keep);
        self.ports(LOAD_HALF, at + 40, ports, keep);
    }

    fn ports(&mut self, load: u16, at: u32, ports: &[u16], keep: Label) {
        for end in [0, 2] {
            self.add(load, at + end);
            for port in ports {
                self.put(IF_EQUAL, 0, 1, (*port).into());
                self.add(RETURN, 0);
            }
        }
        self.jump(keep);
    }

    fn finish(mut self) -> Code {
        for (at, label) in self.open {
            let distance = (self.labels[label] - at - 1) as u32;
            self.code[at][4..].copy_from_slice(&distance.to_le_bytes());
        }
        self.code
    }
}
