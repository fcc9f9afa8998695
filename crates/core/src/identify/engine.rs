//! Shows flows to rules until one is sure.
//!
//! Bounds: of a flow at most [`MAX_PACKETS`] packets with payload and [`WINDOW`] bytes a direction are looked
//! at; when a rule wants a whole hello, [`MAX_TURNS`] packets and [`HELLO`] bytes. All flows that wait hold
//! together at most [`ROOM`] bytes; when that is used up, a further flow is decided by its first packet, and
//! counted in [`Engine::hurried`]. A flow that is decided by its first packet allocates nothing.

use std::borrow::Cow;
use std::sync::Arc;

use super::dispatch::{Dispatch, Set};
use super::models::{Models, TURNS};
use super::pending::Pending;
use super::registry;
use super::rule::{Family, Protocol, Rule};
use super::verdict::{confidence, Match, Stop};
use super::view::{Gram, Side, Transport, Turn, View, Who};

/// Packets with payload that are looked at.
pub const MAX_PACKETS: usize = 8;
/// Packets that are looked at while a hello is awaited.
pub const MAX_TURNS: usize = 24;
/// Bytes of a direction that are looked at.
pub const WINDOW: usize = 2048;
/// Bytes of a direction that are kept while a hello is awaited.
pub const HELLO: usize = 16_384 + 5;
/// Bytes held by all flows that wait.
pub const ROOM: usize = 256 << 20;

/// Bytes of emptied boxes kept for the next flows.
const SPARE: usize = 16 << 20;
const NO_LABEL: u16 = u16::MAX;

/// One packet with payload.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// What carries it; the same for all packets of a flow.
    pub transport: Transport,
    /// From which end, 0 or 1, numbered as the caller likes.
    pub dir: u8,
    /// The captured payload.
    pub bytes: &'a [u8],
    /// Length of the payload on the wire, in bytes.
    pub len: u32,
    /// TCP sequence number of the first byte.
    pub seq: u32,
    /// TCP sequence number of this direction's very first byte, if its SYN was seen.
    pub start: Option<u32>,
    /// Who opened the flow, if that was seen.
    pub opener: Option<u8>,
}

/// What was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    label: u16,
    parent: u16,
    rule: u16,
    /// 0 to 100, see [`confidence`].
    pub confidence: u8,
    /// The direction whose bytes told.
    pub dir: u8,
    /// The direction that was taken for the client.
    pub client: u8,
    /// Where the bytes that told are in that direction.
    pub offset: u16,
    shown: u8,
    bytes: [u8; 12],
}

impl Answer {
    /// The first of the bytes that told, at most 12.
    pub fn evidence(&self) -> &[u8] {
        &self.bytes[..usize::from(self.shown)]
    }

    /// Places of label and parent in [`Engine::labels`]; the parent's is beyond its end when there is none.
    pub fn numbers(&self) -> (usize, usize) {
        (usize::from(self.label), usize::from(self.parent))
    }
}

/// What the engine remembers of one flow.
#[derive(Debug, Default)]
pub struct State(Inner);

#[derive(Debug, Default)]
enum Inner {
    #[default]
    Fresh,
    Open(Transport, Box<Pending>),
    Known(Answer),
    Unknown,
}

impl State {
    /// More packets change nothing: it is known, or known to be none of the protocols.
    #[inline]
    pub fn is_decided(&self) -> bool {
        matches!(self.0, Inner::Known(_) | Inner::Unknown)
    }

    /// What was recognised so far for good.
    pub fn answer(&self) -> Option<&Answer> {
        match &self.0 {
            Inner::Known(answer) => Some(answer),
            _ => None,
        }
    }
}

/// What the rules say now.
enum Now {
    Sure(Answer),
    Perhaps(Answer, u8, usize),
    Open,
    Nothing,
}

/// The rules, their look-up tables, and the room of the flows that wait.
pub struct Engine {
    rules: Vec<Rule>,
    labels: Vec<Protocol>,
    dispatch: Dispatch,
    models: Arc<Models>,
    #[allow(clippy::vec_box)] // boxes go from here into states and back, unmoved
    spare: Vec<Box<Pending>>,
    spare_room: usize,
    room: usize,
    hurried: u64,
}

impl Default for Engine {
    fn default() -> Self {
        Self::new(registry::FAMILIES)
    }
}

impl Engine {
    /// An engine with the protocols of these families.
    ///
    /// # Panics
    /// If there are more rules than the look-up tables hold.
    pub fn new(families: &[&Family]) -> Self {
        Self::with_models(families, Arc::default())
    }

    /// An engine that knows learnt protocols, too.
    ///
    /// # Panics
    /// If there are more rules than the look-up tables hold.
    pub fn with_models(families: &[&Family], models: Arc<Models>) -> Self {
        let rules: Vec<Rule> = families.iter().flat_map(|family| family.rules).copied().collect();
        let mut labels: Vec<Protocol> =
            families.iter().flat_map(|family| family.protocols).chain(models.protocols()).copied().collect();
        labels.sort_unstable_by_key(|protocol| protocol.label);
        let dispatch = Dispatch::new(&rules);
        Self { rules, labels, dispatch, models, spare: Vec::new(), spare_room: 0, room: 0, hurried: 0 }
    }

    /// All protocols, by label.
    pub fn labels(&self) -> &[Protocol] {
        &self.labels
    }

    /// The learnt protocols among them.
    pub fn models(&self) -> &Arc<Models> {
        &self.models
    }

    /// The protocol of an answer.
    pub fn protocol(&self, answer: &Answer) -> &Protocol {
        &self.labels[usize::from(answer.label)]
    }

    /// The protocol that carries it, if there is one.
    pub fn parent(&self, answer: &Answer) -> Option<&Protocol> {
        self.labels.get(usize::from(answer.parent))
    }

    /// `label`, or `parent/label`.
    pub fn path(&self, answer: &Answer) -> Cow<'static, str> {
        let label = self.protocol(answer).label;
        match self.parent(answer) {
            Some(parent) => format!("{}/{label}", parent.label).into(),
            None => label.into(),
        }
    }

    /// The rule that told, as `tls.hello`; of a model `model.NAME`.
    pub fn rule(&self, answer: &Answer) -> String {
        let (label, name) = self.rule_parts(answer);
        [label, ".", name].concat()
    }

    /// Its label and its name.
    pub fn rule_parts(&self, answer: &Answer) -> (&'static str, &'static str) {
        match self.rules.get(usize::from(answer.rule)) {
            Some(rule) => (rule.label, rule.name),
            None => ("model", self.protocol(answer).label),
        }
    }

    /// Flows that were decided by their first packet because too many others waited.
    pub fn hurried(&self) -> u64 {
        self.hurried
    }

    /// Bytes held by the flows that wait.
    pub fn room(&self) -> usize {
        self.room
    }

    /// Shows the next packet of a flow. Packets without payload, and those of decided flows, cost nothing.
    #[inline]
    pub fn feed(&mut self, state: &mut State, input: &Input<'_>) {
        self.feed_with(state, input, |_, _| {});
    }

    /// Like [`Self::feed`]; when this packet decides, `decided` sees the bytes that did, with the ends as the
    /// rule took them.
    #[inline]
    pub fn feed_with(
        &mut self,
        state: &mut State,
        input: &Input<'_>,
        decided: impl FnOnce(&View<'_>, &Answer),
    ) {
        match &mut state.0 {
            Inner::Known(_) | Inner::Unknown => {}
            _ if input.bytes.is_empty() => {}
            Inner::Fresh => state.0 = self.first(input, decided),
            Inner::Open(_, pending) => {
                let before = pending.room();
                let verdict = self.next(pending, input, decided);
                self.room = self.room - before + pending.room();
                if let Some(inner) = verdict {
                    self.close(std::mem::replace(&mut state.0, inner));
                }
            }
        }
    }

    /// No more packets will come: decides by what is there.
    pub fn finish(&mut self, state: &mut State) -> Option<Answer> {
        self.finish_with(state, |_, _| {})
    }

    /// Like [`Self::finish`]; when this decides, `decided` sees the bytes.
    pub fn finish_with(
        &mut self,
        state: &mut State,
        decided: impl FnOnce(&View<'_>, &Answer),
    ) -> Option<Answer> {
        if let Inner::Open(transport, pending) = &mut state.0 {
            let last = self.last(*transport, pending, decided);
            self.close(std::mem::replace(&mut state.0, last));
        } else if matches!(state.0, Inner::Fresh) {
            state.0 = Inner::Unknown;
        }
        state.answer().copied()
    }

    /// The first packet, looked at where it lies.
    fn first(&mut self, input: &Input<'_>, decided: impl FnOnce(&View<'_>, &Answer)) -> Inner {
        // Someone else's bytes came before these: not the start, wait for it.
        let late = input.transport == Transport::Tcp && input.start.is_some_and(|start| start != input.seq);
        let mut alive = [Set::ALL; 2];
        let mut want = [0; 2];
        if !late {
            let kept = input.bytes.len().min(WINDOW);
            let grams = [Gram { start: 0, kept: kept as u16, len: input.len }];
            let side = Side {
                bytes: &input.bytes[..kept],
                grams: if input.transport == Transport::Tcp { &[] } else { &grams },
            };
            let opened_by_other = input.opener.is_some_and(|opener| opener != input.dir);
            let (client, server) = if opened_by_other { (Side::SILENT, side) } else { (side, Side::SILENT) };
            let view = View {
                transport: input.transport,
                client,
                server,
                order: &[Turn { dir: input.dir, len: input.len }],
                client_dir: input.opener.unwrap_or(input.dir),
                done: self.room >= ROOM,
            };
            match self.judge(&view, &mut alive) {
                Now::Sure(answer) => {
                    decided(&oriented(&view, &answer), &answer);
                    return Inner::Known(answer);
                }
                Now::Perhaps(answer, ..) if view.done => {
                    self.hurried += 1;
                    decided(&oriented(&view, &answer), &answer);
                    return Inner::Known(answer);
                }
                Now::Perhaps(_, dir, bytes) => want[usize::from(dir)] = bytes,
                Now::Nothing if !self.models.may(&view) => return Inner::Unknown,
                Now::Open | Now::Nothing if view.done => {
                    self.hurried += 1;
                    return settle(&view, self.learnt(&view), decided);
                }
                Now::Open | Now::Nothing => {}
            }
        }
        let mut pending = self.take_spare();
        pending.want = want;
        pending.alive = alive;
        pending.push(input);
        let complete = want != [0; 2] && (0..2).all(|dir| pending.have(dir) >= want[dir].min(HELLO));
        if complete {
            let view = pending.view(input.transport, false);
            let mut alive = pending.alive;
            if let Now::Sure(answer) = self.judge(&view, &mut alive) {
                decided(&oriented(&view, &answer), &answer);
                self.put_spare(pending);
                return Inner::Known(answer);
            }
        }
        self.room += pending.room();
        Inner::Open(input.transport, pending)
    }

    fn next(
        &self,
        pending: &mut Pending,
        input: &Input<'_>,
        decided: impl FnOnce(&View<'_>, &Answer),
    ) -> Option<Inner> {
        pending.push(input);
        if pending.learnt.is_none() && pending.count >= TURNS {
            pending.learnt = Some(self.learnt(&pending.view(input.transport, false)));
        }
        for again in [true, false] {
            let mut alive = pending.alive;
            let now = self.judge(&pending.view(input.transport, false), &mut alive);
            pending.alive = alive;
            match now {
                Now::Sure(answer) => {
                    decided(&oriented(&pending.view(input.transport, false), &answer), &answer);
                    return Some(Inner::Known(answer));
                }
                Now::Nothing => {
                    let view = pending.view(input.transport, false);
                    let open = pending.learnt.is_none() && self.models.may(&view);
                    return (!open).then(|| settle(&view, pending.learnt.flatten(), decided));
                }
                Now::Perhaps(_, dir, bytes) if bytes > pending.want[usize::from(dir)] => {
                    pending.want[usize::from(dir)] = bytes;
                    if again && dir == input.dir {
                        pending.widen(input);
                        continue;
                    }
                }
                _ => {}
            }
            break;
        }
        let most = if pending.want == [0; 2] { MAX_PACKETS } else { MAX_TURNS };
        (pending.count >= most).then(|| self.last(input.transport, pending, decided))
    }

    fn last(
        &self,
        transport: Transport,
        pending: &Pending,
        decided: impl FnOnce(&View<'_>, &Answer),
    ) -> Inner {
        let view = pending.view(transport, true);
        let mut alive = pending.alive;
        let learnt = pending.learnt.unwrap_or_else(|| self.learnt(&view));
        let answer = match self.judge(&view, &mut alive) {
            Now::Sure(answer) => Some(answer),
            Now::Perhaps(answer, ..) if learnt.is_none_or(|l| l.confidence <= answer.confidence) => {
                Some(answer)
            }
            _ => learnt,
        };
        settle(&view, answer, decided)
    }

    /// What the models say.
    fn learnt(&self, view: &View<'_>) -> Option<Answer> {
        let (found, number, view) = self.models.judge(view)?;
        Some(self.answer(found, self.rules.len() + number, &view))
    }

    fn close(&mut self, inner: Inner) {
        if let Inner::Open(_, pending) = inner {
            self.room -= pending.room();
            self.put_spare(pending);
        }
    }

    fn take_spare(&mut self) -> Box<Pending> {
        let Some(pending) = self.spare.pop() else { return Pending::new() };
        self.spare_room -= pending.room();
        pending
    }

    fn put_spare(&mut self, mut pending: Box<Pending>) {
        pending.clear();
        let room = pending.room();
        if self.spare_room + room <= SPARE {
            self.spare_room += room;
            self.spare.push(pending);
        }
    }

    /// Asks the rules that are alive, with the ends as they are and exchanged.
    fn judge(&self, view: &View<'_>, alive: &mut [Set; 2]) -> Now {
        let mut best: Option<(Match, usize, View<'_>)> = None;
        let mut open = false;
        for (alive, view) in alive.iter_mut().zip([*view, view.flipped()]) {
            if best.is_some_and(|(found, ..)| found.confidence >= confidence::FINAL) {
                break;
            }
            if alive.is_empty() {
                continue;
            }
            self.dispatch.narrow(alive, view.transport, &view.client, &view.server);
            for number in alive.iter() {
                match (self.rules[number].check)(&view) {
                    Ok(found) if best.is_none_or(|(so_far, ..)| found.confidence > so_far.confidence) => {
                        best = Some((found, number, view));
                    }
                    Err(Stop::No) => alive.remove(number),
                    _ => {}
                }
            }
            open |= !alive.is_empty();
        }
        match best {
            Some((found, number, view)) => {
                let answer = self.answer(found, number, &view);
                let side = view.side(found.who);
                let waits = (found.want as usize).min(HELLO) > side.bytes.len();
                if found.confidence >= confidence::FINAL && (!waits || view.done) {
                    Now::Sure(answer)
                } else {
                    Now::Perhaps(answer, answer.dir, found.want as usize)
                }
            }
            None if open => Now::Open,
            None => Now::Nothing,
        }
    }

    fn answer(&self, found: Match, number: usize, view: &View<'_>) -> Answer {
        let id = |label: &str| {
            self.labels
                .binary_search_by_key(&label, |protocol| protocol.label)
                .map_or(NO_LABEL, |index| index as u16)
        };
        let side = view.side(found.who);
        let told = side.bytes.get(usize::from(found.offset)..).unwrap_or(&[]);
        let shown = told.len().min(usize::from(found.len)).min(12);
        let mut bytes = [0; 12];
        bytes[..shown].copy_from_slice(&told[..shown]);
        Answer {
            label: id(found.label.unwrap_or_else(|| self.rules[number].label)),
            parent: found.parent.map_or(NO_LABEL, id),
            rule: number as u16,
            confidence: found.confidence,
            dir: if found.who == Who::Client { view.client_dir } else { 1 - view.client_dir },
            client: view.client_dir,
            offset: found.offset,
            shown: shown as u8,
            bytes,
        }
    }
}

fn settle(view: &View<'_>, answer: Option<Answer>, decided: impl FnOnce(&View<'_>, &Answer)) -> Inner {
    let Some(answer) = answer else { return Inner::Unknown };
    decided(&oriented(view, &answer), &answer);
    Inner::Known(answer)
}

fn oriented<'a>(view: &View<'a>, answer: &Answer) -> View<'a> {
    if view.client_dir == answer.client {
        *view
    } else {
        view.flipped()
    }
}
