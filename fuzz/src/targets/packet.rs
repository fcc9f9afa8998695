//! Headers of any bytes, under every link type.

use flowkeep_core::packet::{fragment_key, is_known_link, read, Class, NoFlow, Options, Tunnel};

use super::note;
use crate::mutate::Rng;
use crate::seeds::LINKS;

/// An answer, and one whose parts agree.
pub fn packet(data: &[u8], notes: &mut Vec<u64>) {
    let mut rng = Rng::of(data);
    let any = rng.next() as u16;
    let len = data.len() as u32;
    let wirelen = *rng.pick(&[len, len, len, 0, len / 2, len + 4, len + 1500, u32::MAX]);
    for link in LINKS.into_iter().chain([any]) {
        let facts = check(link, data, wirelen, Options { outer: false, key_vlan: false });
        let seen = (link, facts.class, facts.reason, facts.tunnels, facts.anomalies);
        notes.push(note(&(seen, facts.key.proto, facts.fragment)));
        let keyed = check(link, data, wirelen, Options { outer: false, key_vlan: true });
        assert_eq!(keyed.key.vlan, if facts.reason == NoFlow::None { facts.vlan } else { [0; 2] });
        let outer = check(link, data, wirelen, Options { outer: true, key_vlan: false });
        assert_eq!(outer.tunnels, 0, "link type {link}: a tunnel was looked through");
        assert!(is_known_link(link) || facts.reason == NoFlow::UnknownLink, "link type {link} was read");
    }
}

fn check(link: u16, data: &[u8], wirelen: u32, options: Options) -> flowkeep_core::packet::Facts {
    let f = read(link, data, wirelen, &options);
    assert!(f.header_len as usize <= data.len(), "link type {link}: headers of {} bytes", f.header_len);
    assert_eq!(f.class == Class::NoFlow, f.reason != NoFlow::None, "link type {link}: {f:?}");
    assert!((f.key.lo, f.key.lo_port) <= (f.key.hi, f.key.hi_port), "link type {link}: {f:?}");
    assert!(f.vlan.iter().all(|tag| *tag <= 4096), "link type {link}: {f:?}");
    let tunnels = (0..4).map(|i| (f.tunnels >> (4 * i) & 15) as u8).take_while(|n| *n != 0);
    assert!(tunnels.clone().all(|n| Tunnel::from_number(n).is_some()), "link type {link}: {f:?}");
    // Nothing behind the captured bytes was counted as headers, nothing behind the wire as payload.
    assert!(u64::from(f.payload) <= u64::from(wirelen.max(data.len() as u32)) + 65_575, "{f:?}");
    let fragment = f.fragment || f.class == Class::Continuation;
    assert_eq!(fragment_key(link, data, wirelen, &options).is_some(), fragment, "link type {link}: {f:?}");
    f
}
