//! Fragments as bytes, in the file of a summary: little-endian, in the order of `docs/formats/summary.md`.

use flowkeep_core::flow::{At, Early, First, NONE};
use flowkeep_core::packet::{Class, Facts, FragKey, Key, NoFlow};

/// Bytes of a first fragment.
const FIRST: usize = 70;
/// Bytes of a later one.
const EARLY: usize = 163;

/// A first fragment.
pub fn first(key: &FragKey, first: &First) -> Vec<u8> {
    let mut out = Vec::with_capacity(FIRST);
    head(&mut out, key, first.at);
    out.extend(first.flow.to_le_bytes());
    out
}

/// A later fragment.
pub fn early(early: &Early) -> Vec<u8> {
    let mut out = Vec::with_capacity(EARLY);
    head(&mut out, &early.key, early.at);
    let f = &early.facts;
    // What is not known yet and what never will be are told apart by a bit.
    out.extend([u8::from(early.after.is_some()), f.class as u8, f.reason as u8, f.dir, u8::from(f.fragment)]);
    out.extend([f.key.proto, f.key.version, f.tcp_flags, f.wscale, f.icmp[0], f.icmp[1]]);
    out.extend(f.key.lo);
    out.extend(f.key.hi);
    let shorts = [f.key.lo_port, f.key.hi_port, f.key.vlan[0], f.key.vlan[1], f.vlan[0], f.vlan[1]];
    shorts.iter().for_each(|n| out.extend(n.to_le_bytes()));
    let shorts = [f.ip_at, f.transport_at, f.window, f.tunnels, f.anomalies];
    shorts.iter().for_each(|n| out.extend(n.to_le_bytes()));
    let after = early.after.unwrap_or(NONE);
    let words = [early.caplen, early.wirelen, after, f.frag_id, f.payload, f.header_len, f.seq, f.ack];
    words.iter().for_each(|n| out.extend(n.to_le_bytes()));
    out
}

fn head(out: &mut Vec<u8>, key: &FragKey, at: At) {
    out.extend(key.src);
    out.extend(key.dst);
    out.extend([key.proto, key.version]);
    out.extend(key.vlan[0].to_le_bytes());
    out.extend(key.vlan[1].to_le_bytes());
    out.extend(key.id.to_le_bytes());
    out.extend(at.pos.to_le_bytes());
    out.extend(at.bytes.to_le_bytes());
    out.extend(at.ts.to_le_bytes());
}

/// Reads a first fragment.
pub fn read_first(bytes: &[u8]) -> Result<(FragKey, First), String> {
    let mut r = Reader(long(bytes, FIRST)?);
    let (key, at) = r.head();
    Ok((key, First { at, flow: u32::from_le_bytes(r.take()) }))
}

/// Reads a later fragment.
pub fn read_early(bytes: &[u8]) -> Result<Early, String> {
    let mut r = Reader(long(bytes, EARLY)?);
    let (key, at) = r.head();
    let [known, class, reason, dir, fragment, proto, version, tcp_flags, wscale, icmp_type, icmp_code] =
        r.take();
    let (lo, hi) = (r.take(), r.take());
    let (lo_port, hi_port, key_vlan, vlan) =
        (r.short(), r.short(), [r.short(), r.short()], [r.short(), r.short()]);
    let (ip_at, transport_at, window, tunnels, anomalies) =
        (r.short(), r.short(), r.short(), r.short(), r.short());
    let (caplen, wirelen, after) = (r.word(), r.word(), r.word());
    let wrong = |what: &str, n: u8| format!("a fragment in it has {what} {n}, of which nothing is known");
    let class = *CLASSES.get(usize::from(class)).ok_or_else(|| wrong("class", class))?;
    let reason = *NoFlow::ALL.get(usize::from(reason)).ok_or_else(|| wrong("reason", reason))?;
    let facts = Facts {
        key: Key { lo, hi, lo_port, hi_port, vlan: key_vlan, proto, version },
        class,
        reason,
        dir,
        fragment: fragment != 0,
        frag_id: r.word(),
        payload: r.word(),
        header_len: r.word(),
        ip_at,
        transport_at,
        tcp_flags,
        wscale,
        window,
        seq: r.word(),
        ack: r.word(),
        icmp: [icmp_type, icmp_code],
        vlan,
        tunnels,
        anomalies,
    };
    Ok(Early { key, facts, at, caplen, wirelen, after: (known != 0).then_some(after) })
}

const CLASSES: [Class; 3] = [Class::NoFlow, Class::Flow, Class::Continuation];

fn long(bytes: &[u8], wanted: usize) -> Result<&[u8], String> {
    if bytes.len() == wanted {
        return Ok(bytes);
    }
    Err(format!("a fragment in it has {} bytes instead of {wanted}", bytes.len()))
}

/// Takes from bytes of which there are enough.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((taken, rest)) = self.0.split_first_chunk() else { return [0; N] };
        self.0 = rest;
        *taken
    }

    fn short(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    fn word(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn head(&mut self) -> (FragKey, At) {
        let (src, dst) = (self.take(), self.take());
        let [proto, version] = self.take();
        let key = FragKey { src, dst, proto, version, vlan: [self.short(), self.short()], id: self.word() };
        let (pos, bytes) = (u64::from_le_bytes(self.take()), u64::from_le_bytes(self.take()));
        (key, At { pos, bytes, ts: i64::from_le_bytes(self.take()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_is_the_same_again() {
        let key = FragKey { src: [1; 16], dst: [2; 16], proto: 17, version: 4, vlan: [3, 4], id: 5 };
        let at = At { pos: 6, bytes: 7, ts: -8 };
        let began = First { at, flow: 9 };
        assert_eq!(first(&key, &began).len(), FIRST);
        assert_eq!(read_first(&first(&key, &began)), Ok((key, began)));
        let facts = Facts {
            key: Key {
                lo: [10; 16],
                hi: [11; 16],
                lo_port: 12,
                hi_port: 13,
                vlan: [14, 15],
                proto: 16,
                version: 6,
            },
            class: Class::Continuation,
            reason: NoFlow::Encrypted,
            dir: 1,
            fragment: true,
            frag_id: 17,
            payload: 18,
            header_len: 19,
            ip_at: 20,
            transport_at: 21,
            tcp_flags: 22,
            wscale: 23,
            window: 24,
            seq: 25,
            ack: 26,
            icmp: [27, 28],
            vlan: [29, 30],
            tunnels: 31,
            anomalies: 32,
        };
        for after in [None, Some(NONE), Some(33)] {
            let waits = Early { key, facts, at, caplen: 34, wirelen: 35, after };
            assert_eq!(early(&waits).len(), EARLY);
            assert_eq!(read_early(&early(&waits)), Ok(waits));
        }
        assert!(read_early(&[0; 5]).unwrap_err().contains("5 bytes instead of"));
    }
}
