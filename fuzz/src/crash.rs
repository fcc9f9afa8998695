//! Runs a target on one input, catches what goes wrong, and keeps the input.

use std::cell::Cell;
use std::fs;
use std::panic::{catch_unwind, set_hook, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::guard;
use crate::mutate::hash;
use crate::targets::Target;

/// After this time an input is taken for one that never ends.
const PATIENCE: Duration = Duration::from_secs(20);
/// Runs that are spent to make a crash smaller.
const ATTEMPTS: usize = 4000;

/// The first panic of a run, with its place; threads of the target may be the ones that panic.
static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// What is running now, seen from the thread that looks for inputs that never end.
type Running = Arc<Mutex<Option<(&'static str, Vec<u8>, Instant)>>>;

/// Runs inputs under watch.
pub struct Watch {
    running: Running,
    runs: Cell<usize>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Takes over the panic messages and starts the watching thread.
    pub fn start() -> Self {
        set_hook(Box::new(|panic| {
            lock(&PANIC).get_or_insert_with(|| panic.to_string().replace('\n', " "));
        }));
        let running = Running::default();
        let watched = running.clone();
        std::thread::spawn(move || loop {
            std::thread::sleep(Duration::from_secs(1));
            if let Some((name, data, since)) = &*lock(&watched) {
                if since.elapsed() > PATIENCE {
                    let saved = save(name, data, "it does not end");
                    std::process::exit(i32::from(saved.is_err()) + 1);
                }
            }
        });
        Self { running, runs: Cell::new(0) }
    }

    /// Runs one input; says what went wrong.
    pub fn run(&self, target: &Target, data: &[u8], notes: &mut Vec<u64>) -> Result<(), String> {
        self.runs.set(self.runs.get() + 1);
        *lock(&self.running) = Some((target.name, data.to_vec(), Instant::now()));
        *lock(&PANIC) = None;
        let held = guard::begin();
        let done = catch_unwind(AssertUnwindSafe(|| (target.run)(data, notes)));
        let peak = guard::peak_since(held);
        *lock(&self.running) = None;
        if done.is_err() {
            return Err(lock(&PANIC).take().unwrap_or_else(|| "a panic without a message".into()));
        }
        if peak > guard::LIMIT {
            return Err(format!("{peak} bytes were allocated for an input of {}", data.len()));
        }
        Ok(())
    }
}

/// Cuts pieces out of a crashing input as long as it crashes, then makes bytes zero.
pub fn minimise(target: &Target, mut data: Vec<u8>, watch: &Watch) -> Vec<u8> {
    let end = watch.runs.get() + ATTEMPTS;
    let crashes = |data: &[u8]| watch.runs.get() < end && watch.run(target, data, &mut Vec::new()).is_err();
    let mut size = data.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < data.len() {
            let mut less = data.clone();
            less.drain(at..(at + size).min(data.len()));
            if crashes(&less) {
                data = less;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    for at in 0..data.len() {
        let was = std::mem::take(&mut data[at]);
        if was != 0 && !crashes(&data) {
            data[at] = was;
        }
    }
    data
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Keeps a crashing input and says how to run it again.
pub fn save(target: &str, data: &[u8], why: &str) -> Result<(), String> {
    let path = folder("crashes").join(format!("{target}-{:016x}.bin", hash(data)));
    println!("{target}: {why}");
    fs::create_dir_all(folder("crashes"))
        .and_then(|()| fs::write(&path, data))
        .map_err(|e| format!("{}: {e}", path.display()))?;
    println!("{} bytes in {}; run them again with", data.len(), path.display());
    println!(
        "  cargo run --release --manifest-path fuzz/Cargo.toml -- --target {target} --replay {}",
        path.display()
    );
    Ok(())
}

/// The files in `crashes` and `corpus`, by name.
pub fn kept() -> Result<Vec<(PathBuf, Vec<u8>)>, String> {
    let mut files = Vec::new();
    for folder in [folder("crashes"), folder("corpus")] {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.map_err(|e| format!("{}: {e}", folder.display()))?.path();
            if path.extension().is_some_and(|e| e == "bin") {
                let data = fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
                files.push((path, data));
            }
        }
    }
    files.sort();
    Ok(files)
}
