//! What leaves the memory, on disk: flows that were let go as a whole, with what was held of them, in capture files that follow one
//! another in time. Each has a ledger with the true totals, so that it is a trimmed capture like any other.
//!
//! A file becomes visible when it is whole: `flowkeep-cache-TIME.pcapng`, TIME being that of its first packet. When there are more
//! bytes than allowed, the oldest files are deleted. A writer that cannot write says so, and never holds the store up.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use flowkeep_core::cache::{Gone, InterfaceStatus};
use flowkeep_core::cut::ledger::{Left, Row};
use flowkeep_core::cut::Kept;
use flowkeep_core::packet::{self, Options};
use flowkeep_core::record::{write, TsResol};

use super::Shared;
use crate::dataset::Output;
use crate::table::ledger::{self, About};

/// Bytes of flows that wait to be written, at most.
const OUTBOX: u64 = 8 << 20;
/// How often the store is asked for them.
const PERIOD: Duration = Duration::from_millis(50);
/// Bytes after which a file is closed in any case: its rows are kept in memory until then.
const MOST_BYTES: u64 = 256 << 20;
const MOST_ROWS: usize = 1 << 16;
const PREFIX: &str = "flowkeep-cache-";
const SUFFIX: &str = ".pcapng";
const LEDGER: &str = ".ledger.arrow";
const PART: &str = ".part";
/// The policy in the ledgers.
const POLICY: &str = r#"{"cache": true}"#;

/// Where and how much.
#[derive(Clone, Debug)]
pub struct SpillPlan {
    /// The folder.
    pub folder: PathBuf,
    /// Bytes of all files at most; `None`: no bound.
    pub disk: Option<u64>,
    /// Packet time in ns after which the next file begins.
    pub every: i64,
}

/// How the spill fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpillStatus {
    /// Files that are whole, and their bytes, ledgers included.
    pub files: u64,
    /// Their bytes and those of the one that is written.
    pub bytes: u64,
    /// Packets written, also into files that are deleted by now.
    pub packets: u64,
    /// Flows written.
    pub flows: u64,
    /// Files deleted to stay within the bound.
    pub deleted: u64,
    /// Packets that came too fast to be written, or could not be.
    pub lost: u64,
    /// What went wrong last.
    pub error: Option<String>,
}

/// A spill at work.
pub struct Spill {
    state: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
    shared: Shared,
}

#[derive(Default)]
struct State {
    stop: bool,
    status: SpillStatus,
}

impl Spill {
    /// Begins to spill.
    pub fn start(shared: &Shared, plan: SpillPlan) -> io::Result<Self> {
        let writer = Writer::new(plan)?;
        let state = Arc::new(Mutex::new(State::default()));
        lock(&state).status = writer.status.clone();
        let bound = (shared.look(|store| store.settings().memory) / 16).min(OUTBOX);
        shared.change(|store| store.keep_gone(bound));
        let (theirs, from) = (state.clone(), shared.clone());
        let thread = std::thread::Builder::new()
            .name("flowkeep-spill".to_owned())
            .spawn(move || work(&theirs, &from, writer))?;
        Ok(Self { state, thread: Some(thread), shared: shared.clone() })
    }

    /// How it fares.
    pub fn status(&self) -> SpillStatus {
        lock(&self.state).status.clone()
    }

    /// Writes what waits, and makes the last file whole.
    pub fn close(&mut self) -> SpillStatus {
        lock(&self.state).stop = true;
        self.shared.call_for_gone();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
            self.shared.change(|store| store.keep_gone(0));
        }
        self.status()
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        self.close();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn work(state: &Mutex<State>, shared: &Shared, mut writer: Writer) {
    loop {
        if !lock(state).stop {
            shared.wait_for_gone(PERIOD);
        }
        let stop = lock(state).stop;
        let ((gone, lost), interfaces) = shared.change(|store| {
            let gone = store.take_gone();
            (gone, store.interfaces().to_vec())
        });
        writer.status.lost += lost;
        let packets: u64 = gone.iter().map(|g| g.packets.len() as u64).sum();
        let before = writer.status.packets;
        let mut done = writer.take(&gone, &interfaces);
        if stop {
            done = done.and(writer.finish());
        }
        if let Err(error) = done {
            // What was not written is lost; the next flows begin a new file.
            writer.status.lost += packets.saturating_sub(writer.status.packets - before);
            writer.status.error = Some(error.to_string());
            writer.give_up();
        }
        lock(state).status = writer.status.clone();
        if stop {
            return;
        }
    }
}

/// A file in the making.
struct Current {
    out: Output,
    hidden: PathBuf,
    bytes: u64,
    described: usize,
    rows: Vec<Row>,
    first: i64,
    last: i64,
    packets: u64,
    totals: (u64, u64),
}

struct Writer {
    plan: SpillPlan,
    current: Option<Current>,
    /// Files that are whole, by name, with their bytes.
    files: Vec<(String, u64)>,
    status: SpillStatus,
    buffer: Vec<u8>,
}

impl Writer {
    fn new(plan: SpillPlan) -> io::Result<Self> {
        fs::create_dir_all(&plan.folder)?;
        let mut files = Vec::new();
        for entry in fs::read_dir(&plan.folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
                let ledger = fs::metadata(beside(&plan.folder, &name)).map_or(0, |m| m.len());
                files.push((name, entry.metadata()?.len() + ledger));
            } else if name.starts_with(&format!(".{PREFIX}")) && name.ends_with(PART) {
                // Of a run that was killed.
                fs::remove_file(entry.path())?;
            }
        }
        files.sort_unstable();
        let mut writer =
            Self { plan, current: None, files, status: SpillStatus::default(), buffer: Vec::new() };
        writer.count();
        Ok(writer)
    }

    fn count(&mut self) {
        self.status.files = self.files.len() as u64;
        let current = self.current.as_ref().map_or(0, |c| c.bytes);
        self.status.bytes = self.files.iter().map(|f| f.1).sum::<u64>() + current;
    }

    fn take(&mut self, gone: &[Gone], interfaces: &[InterfaceStatus]) -> io::Result<()> {
        for flow in gone {
            let Some(&(_, time, ..)) = flow.packets.first() else { continue };
            let most = self.plan.disk.map_or(MOST_BYTES, |disk| (disk / 8).min(MOST_BYTES));
            let over = self.current.as_ref().is_some_and(|c| {
                c.bytes >= most
                    || c.rows.len() >= MOST_ROWS
                    || time.saturating_sub(c.first) >= self.plan.every
            });
            if over {
                self.finish()?;
            }
            self.make_room(flow.bytes.len() as u64 + 64 * flow.packets.len() as u64)?;
            if self.current.is_none() {
                self.current = Some(Current::begin(&self.plan.folder)?);
            }
            if let Some(current) = &mut self.current {
                current.add(flow, interfaces, &mut self.buffer)?;
                self.status.packets += flow.packets.len() as u64;
                self.status.flows += 1;
            }
        }
        self.count();
        Ok(())
    }

    /// Deletes the oldest files until so many bytes more are within the bound.
    fn make_room(&mut self, more: u64) -> io::Result<()> {
        let Some(disk) = self.plan.disk else { return Ok(()) };
        self.count();
        // A ledger has about 250 bytes a row.
        let rows = self.current.as_ref().map_or(0, |c| c.rows.len() as u64 + 1) * 320 + 8192;
        while self.status.bytes + more + rows > disk && !self.files.is_empty() {
            let (name, _) = self.files.remove(0);
            for path in [self.plan.folder.join(&name), beside(&self.plan.folder, &name)] {
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            self.status.deleted += 1;
            self.count();
        }
        Ok(())
    }

    /// Makes the file whole and visible: first its ledger, then itself.
    fn finish(&mut self) -> io::Result<()> {
        let Some(current) = self.current.take() else { return Ok(()) };
        let (mut name, mut n) = (format!("{PREFIX}{}{SUFFIX}", stamp(current.first)), 1);
        while self.plan.folder.join(&name).exists() {
            name = format!("{PREFIX}{}-{n}{SUFFIX}", stamp(current.first));
            n += 1;
        }
        let bytes = current.finish(&self.plan.folder, &name)?;
        self.files.push((name, bytes));
        self.files.sort_unstable();
        self.make_room(0)?;
        self.count();
        Ok(())
    }

    /// Forgets the file in the making.
    fn give_up(&mut self) {
        if let Some(current) = self.current.take() {
            let _ = fs::remove_file(current.hidden);
        }
    }
}

/// A time as it stands in names: `20260102T030405.000000006Z`. The order of names is that of times.
fn stamp(ns: i64) -> String {
    let (seconds, rest) = (ns.max(0) / 1_000_000_000, ns.max(0) % 1_000_000_000);
    let (day, second) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, in eras of 400 years, so that the leap day is a year's last.
    let days = day + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let (month, more) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!(
        "{:04}{month:02}{date:02}T{:02}{:02}{:02}.{rest:09}Z",
        era * 400 + year + more,
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

fn beside(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}{LEDGER}"))
}

impl Current {
    fn begin(folder: &Path) -> io::Result<Self> {
        let hidden = folder.join(format!(".{PREFIX}{}{PART}", std::process::id()));
        let mut out = Output::open(Some(&hidden), None, true)?;
        let mut head = Vec::new();
        write::section(&mut head);
        out.write_all(&head)?;
        let bytes = head.len() as u64;
        let (first, last) = (i64::MAX, i64::MIN);
        Ok(Self {
            out,
            hidden,
            bytes,
            described: 0,
            rows: Vec::new(),
            first,
            last,
            packets: 0,
            totals: (0, 0),
        })
    }

    fn add(&mut self, gone: &Gone, interfaces: &[InterfaceStatus], buffer: &mut Vec<u8>) -> io::Result<()> {
        buffer.clear();
        for i in &interfaces[self.described.min(interfaces.len())..] {
            write::interface(buffer, &i.described());
        }
        self.described = interfaces.len();
        let (mut kept, mut at) = ([Kept::default(); 2], 0);
        for &(interface, time, original, len) in &gone.packets {
            let data = &gone.bytes[at..at + len as usize];
            at += len as usize;
            write::packet(buffer, u32::from(interface), TsResol::NANO, time, data, original);
            let link = interfaces.get(usize::from(interface)).map_or(0, |i| i.link);
            let side = usize::from(packet::read(link, data, original, &Options::default()).dir & 1);
            kept[side].packets += 1;
            kept[side].bytes += u64::from(len);
            (self.first, self.last) = (self.first.min(time), self.last.max(time));
        }
        let flow = flowkeep_core::flow::Flow { first: self.packets, ..gone.flow };
        let original = [flow.side[0].packets, flow.side[1].packets];
        // With a hole somewhere in it, running totals are known of none.
        let head = if gone.joined { kept.map(|k| k.packets) } else { [0; 2] };
        let was = Left { packets: original[0] + original[1], head: original, cutoff: u64::MAX };
        self.rows.push(Row {
            flow,
            continues: false,
            kept,
            shortened: 0,
            head,
            was,
            cutoff: u64::MAX,
            before: [flowkeep_core::flow::Side::default(); 2],
            rule: 0,
            service: 0,
        });
        self.packets += flow.packets();
        self.totals.0 += flow.packets();
        self.totals.1 += flow.bytes();
        self.bytes += buffer.len() as u64;
        self.out.write_all(buffer)
    }

    fn finish(self, folder: &Path, name: &str) -> io::Result<u64> {
        let (bytes, digest) = self.out.finish()?;
        let digest = digest.unwrap_or_default();
        let about = About {
            // There never was a whole capture; what is here was all that there is to be read.
            digest_in: digest.clone(),
            digest_out: digest,
            policy: POLICY.to_owned(),
            packets: self.totals.0,
            bytes: self.totals.1,
            first_ts: Some(self.first),
            sizes: [bytes, bytes],
            writer: env!("CARGO_PKG_VERSION").to_owned(),
            chosen: [None, Some(flowkeep_core::cut::ledger::Chosen::default())],
            // Flow by flow and not by time: whoever plans reads the rows.
            curve: String::new(),
            identified: false,
            texts: Vec::new(),
        };
        let hidden = folder.join(format!(".{PREFIX}{}.ledger{PART}", std::process::id()));
        let file = ledger::write(File::create(&hidden)?, &about, &self.rows).map_err(io::Error::other)?;
        file.sync_all()?;
        let more = file.metadata()?.len();
        File::open(&self.hidden)?.sync_all()?;
        fs::rename(&hidden, beside(folder, name))?;
        fs::rename(&self.hidden, folder.join(name))?;
        File::open(folder)?.sync_all()?;
        Ok(bytes + more)
    }
}

#[cfg(test)]
mod tests {
    use super::stamp;

    #[test]
    fn names_are_those_of_the_calendar() {
        assert_eq!(stamp(0), "19700101T000000.000000000Z");
        assert_eq!(stamp(951_782_400_000_000_007), "20000229T000000.000000007Z");
        assert_eq!(stamp(1_735_689_599_999_999_999), "20241231T235959.999999999Z");
        assert_eq!(stamp(-5), stamp(0));
    }
}
