//! Flows as columns of a block. What only the next packet of a session would need is left out.

use flowkeep_core::flow::{Flow, Side, NONE};
use flowkeep_core::packet::{Key, NO_WSCALE};

use super::bytes::{Broken, Get, Put};

/// Flows of a block at most.
pub const BLOCK: usize = 2048;

/// Writes flows, column by column.
pub fn encode(flows: &[&Flow]) -> Vec<u8> {
    let mut put = Put::default();
    // Most captures have microseconds.
    let times = |f: &&Flow| [f.first_ts, f.last_ts, f.head_ts, f.tail_ts];
    let unit = if flows.iter().flat_map(times).all(|t| t % 1000 == 0) { 1000 } else { 1 };
    put.number(unit as u64);
    for f in flows {
        put.0.push(f.key.version);
    }
    for f in flows {
        put.0.push(f.key.proto);
    }
    for end in [|k: &Key| k.lo, |k: &Key| k.hi] {
        for f in flows {
            put.0.extend_from_slice(&end(&f.key)[..width(f.key.version)]);
        }
    }
    for f in flows {
        put.0.extend(f.key.lo_port.to_be_bytes());
    }
    for f in flows {
        put.0.extend(f.key.hi_port.to_be_bytes());
    }
    let columns: [fn(&Flow) -> u64; 10] = [
        |f| f.key.vlan[0].into(),
        |f| f.key.vlan[1].into(),
        |f| f.flags.into(),
        |f| f.tunnels.into(),
        |f| f.vlan[0].into(),
        |f| f.vlan[1].into(),
        |f| f.icmp[0].into(),
        |f| f.icmp[1].into(),
        |f| f.side[0].seen.into(),
        |f| f.side[1].seen.into(),
    ];
    for column in columns {
        for f in flows {
            put.number(column(f));
        }
    }
    let mut before = 0;
    for f in flows {
        put.signed(f.first.wrapping_sub(before) as i64);
        before = f.first;
    }
    let mut before = 0;
    for f in flows {
        let now = f.first_ts / unit;
        put.signed(now.wrapping_sub(before));
        before = now;
    }
    for of in [|f: &Flow| f.last_ts, |f: &Flow| f.head_ts, |f: &Flow| f.tail_ts] {
        for f in flows {
            put.signed((of(f) / unit).wrapping_sub(f.first_ts / unit));
        }
    }
    for side in 0..2 {
        for f in flows {
            put.number(f.side[side].packets);
        }
        for f in flows {
            put.number(f.side[side].bytes);
        }
        // Nearly always the same as the bytes captured.
        for f in flows {
            put.signed(f.side[side].wire.wrapping_sub(f.side[side].bytes) as i64);
        }
        for f in flows {
            put.number(f.side[side].payload);
        }
    }
    put.0
}

fn width(version: u8) -> usize {
    if version & !Key::ORPHAN == 4 {
        4
    } else {
        16
    }
}

/// Reads `n` flows, at most [`BLOCK`].
pub fn decode(bytes: &[u8], n: usize) -> Result<Vec<Flow>, Broken> {
    if n > BLOCK {
        return Err(Broken("a block has too many flows"));
    }
    let mut get = Get(bytes);
    let side = Side { wscale: NO_WSCALE, ..Side::default() };
    let none = Flow {
        key: Key::default(),
        flags: 0,
        tunnels: 0,
        vlan: [0; 2],
        icmp: [0; 2],
        head_seq: 0,
        older: NONE,
        first: 0,
        head_ts: 0,
        tail_ts: 0,
        first_ts: 0,
        last_ts: 0,
        side: [side; 2],
    };
    let mut flows = vec![none; n];
    let unit: i64 = match get.number()? {
        1 => 1,
        1000 => 1000,
        _ => return Err(Broken("its unit of time is not one that is known")),
    };
    for f in &mut flows {
        f.key.version = get.byte()?;
    }
    for f in &mut flows {
        f.key.proto = get.byte()?;
    }
    for hi in [false, true] {
        for f in &mut flows {
            let address = get.take(width(f.key.version))?;
            let end = if hi { &mut f.key.hi } else { &mut f.key.lo };
            end[..address.len()].copy_from_slice(address);
        }
    }
    for hi in [false, true] {
        for f in &mut flows {
            let port = u16::from_be_bytes([get.byte()?, get.byte()?]);
            *(if hi { &mut f.key.hi_port } else { &mut f.key.lo_port }) = port;
        }
    }
    column(&mut flows, &mut get, |f| &mut f.key.vlan[0])?;
    column(&mut flows, &mut get, |f| &mut f.key.vlan[1])?;
    column(&mut flows, &mut get, |f| &mut f.flags)?;
    column(&mut flows, &mut get, |f| &mut f.tunnels)?;
    column(&mut flows, &mut get, |f| &mut f.vlan[0])?;
    column(&mut flows, &mut get, |f| &mut f.vlan[1])?;
    column(&mut flows, &mut get, |f| &mut f.icmp[0])?;
    column(&mut flows, &mut get, |f| &mut f.icmp[1])?;
    column(&mut flows, &mut get, |f| &mut f.side[0].seen)?;
    column(&mut flows, &mut get, |f| &mut f.side[1].seen)?;
    let mut before = 0_u64;
    for f in &mut flows {
        before = before.wrapping_add(get.signed()? as u64);
        f.first = before;
    }
    let mut before = 0_i64;
    for f in &mut flows {
        before = before.wrapping_add(get.signed()?);
        f.first_ts = before.wrapping_mul(unit);
    }
    for which in 0..3 {
        for f in &mut flows {
            let time = f.first_ts.wrapping_add(get.signed()?.wrapping_mul(unit));
            *(match which {
                0 => &mut f.last_ts,
                1 => &mut f.head_ts,
                _ => &mut f.tail_ts,
            }) = time;
        }
    }
    for side in 0..2 {
        column(&mut flows, &mut get, |f| &mut f.side[side].packets)?;
        column(&mut flows, &mut get, |f| &mut f.side[side].bytes)?;
        for f in &mut flows {
            f.side[side].wire = f.side[side].bytes.wrapping_add(get.signed()? as u64);
        }
        column(&mut flows, &mut get, |f| &mut f.side[side].payload)?;
    }
    // Sums of two sides are made without looking for an overflow.
    let most = u64::MAX / 4;
    let beyond = |s: &Side| s.packets > most || s.bytes > most || s.wire > most || s.payload > most;
    if flows.iter().any(|f| f.side.iter().any(beyond)) {
        return Err(Broken("a counter is too large"));
    }
    get.end()?;
    Ok(flows)
}

fn column<T: TryFrom<u64>>(
    flows: &mut [Flow],
    get: &mut Get<'_>,
    of: impl Fn(&mut Flow) -> &mut T,
) -> Result<(), Broken> {
    for flow in flows {
        *of(flow) = get.small()?;
    }
    Ok(())
}
