//! For tests: conversations written down as bytes, and what the engine says to them.

use super::engine::{Answer, Engine, Input, State};
use super::view::Transport;

/// A conversation. The client opens it.
#[derive(Clone)]
pub struct Talk {
    transport: Transport,
    packets: Vec<(u8, Vec<u8>)>,
    opened: bool,
}

/// A TCP connection whose SYN was seen.
pub fn tcp() -> Talk {
    Talk { transport: Transport::Tcp, packets: Vec::new(), opened: true }
}

/// A UDP flow.
pub fn udp() -> Talk {
    Talk { transport: Transport::Udp, packets: Vec::new(), opened: false }
}

/// A flow of another transport.
pub fn over(transport: Transport) -> Talk {
    Talk { transport, packets: Vec::new(), opened: false }
}

impl Talk {
    /// The client sends a packet.
    pub fn c(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.packets.push((0, bytes.as_ref().to_vec()));
        self
    }

    /// The server sends a packet.
    pub fn s(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.packets.push((1, bytes.as_ref().to_vec()));
        self
    }

    /// The SYN was not seen.
    pub fn midway(mut self) -> Self {
        self.opened = false;
        self
    }

    /// What one end sends, if it sends anything.
    pub fn only(&self, end: u8) -> Option<Self> {
        let packets: Vec<_> = self.packets.iter().filter(|(dir, _)| *dir == end).cloned().collect();
        (!packets.is_empty()).then(|| Self { packets, ..self.clone() })
    }

    /// The ends exchanged; the server opened it then.
    pub fn turned(mut self) -> Self {
        for (dir, _) in &mut self.packets {
            *dir = 1 - *dir;
        }
        self
    }

    /// Shows its packets to `look`, as long as that wants more.
    pub fn inputs(&self, mut look: impl FnMut(&Input<'_>) -> bool) {
        let mut seq = [1000u32, 4_294_967_290];
        let start = seq;
        for (dir, bytes) in &self.packets {
            let end = usize::from(*dir);
            let input = Input {
                transport: self.transport,
                dir: *dir,
                bytes,
                len: bytes.len() as u32,
                seq: seq[end],
                start: self.opened.then_some(start[end]),
                opener: self.opened.then_some(0),
            };
            if !look(&input) {
                return;
            }
            seq[end] = seq[end].wrapping_add(bytes.len() as u32);
        }
    }

    /// Runs it through `engine`.
    pub fn run(&self, engine: &mut Engine) -> Option<Answer> {
        let mut state = State::default();
        self.inputs(|input| {
            engine.feed(&mut state, input);
            true
        });
        engine.finish(&mut state)
    }

    /// `label` or `parent/label`, or an empty text.
    pub fn label(&self) -> String {
        ENGINE.with_borrow_mut(|engine| {
            self.run(engine).map(|answer| engine.path(&answer).into_owned()).unwrap_or_default()
        })
    }

    /// Confidence, or 0.
    pub fn confidence(&self) -> u8 {
        ENGINE.with_borrow_mut(|engine| self.run(engine).map_or(0, |answer| answer.confidence))
    }

    /// Asserts the label, that one byte at a time (TCP) gives it too if it is that short, and that no cut of
    /// the conversation's packets gives another label.
    #[track_caller]
    pub fn is(&self, label: &str) {
        assert_eq!(self.label(), label);
        for keep in 0..self.packets.len() {
            let part = Self { packets: self.packets[..keep].to_vec(), ..self.clone() }.label();
            let leaf = |path: &str| path.rsplit('/').next().unwrap_or("").to_owned();
            assert!(
                part.is_empty() || label.starts_with(&part) || leaf(&part) == leaf(label),
                "the first {keep} packets are {part}, all are {label}"
            );
        }
        for at in 0..self.packets.len() {
            for len in 0..self.packets[at].1.len().min(64) {
                let mut cut = self.clone();
                cut.packets[at].1.truncate(len);
                cut.label(); // must not panic
            }
        }
    }

    /// Asserts that it has no label.
    #[track_caller]
    pub fn is_nothing(&self) {
        assert_eq!(self.label(), "");
    }
}

thread_local! {
    static ENGINE: std::cell::RefCell<Engine> = std::cell::RefCell::new(Engine::default());
}

/// Bytes of hexadecimal text; spaces are ignored.
pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// A sequence of bytes put together.
pub fn cat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// A reproducible stream of numbers (xorshift64*).
pub struct Dice(pub u64);

impl Dice {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        ((self.next() >> 33) as usize) % end
    }

    /// Random bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.next() >> 40) as u8).collect()
    }
}
