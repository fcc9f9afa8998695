//! Feeds random and broken input to the parsers and stages of flowkeep; see README.md.

mod crash;
mod guard;
mod mutate;
mod seeds;
mod targets;

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crash::Watch;
use mutate::{mutate, Rng};
use targets::{Target, TARGETS};

const USAGE: &str = "usage: flowkeep-fuzz [--seconds N] [--target NAME] [--seed N] [--replay FILE]";
/// Inputs of a target that are kept to be changed further.
const POOL: usize = 4096;

struct Args {
    seconds: u64,
    target: Option<String>,
    seed: u64,
    replay: Option<PathBuf>,
}

fn args() -> Result<Args, String> {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(1, |d| d.as_nanos() as u64);
    let mut args = Args { seconds: 60, target: None, seed: now % 1_000_000_007, replay: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or(USAGE)?;
        let number = || value.parse::<u64>().map_err(|e| format!("{word} {value}: {e}"));
        match word.as_str() {
            "--seconds" => args.seconds = number()?,
            "--seed" => args.seed = number()?,
            "--target" => args.target = Some(value),
            "--replay" => args.replay = Some(value.into()),
            _ => return Err(USAGE.into()),
        }
    }
    Ok(args)
}

fn run() -> Result<bool, String> {
    let args = args()?;
    let wanted = |t: &&Target| args.target.as_ref().is_none_or(|name| name == t.name);
    let chosen: Vec<&Target> = TARGETS.iter().filter(wanted).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = TARGETS.iter().map(|t| t.name).collect();
        return Err(format!("no such target; there are {}", names.join(", ")));
    }
    println!("seed {}", args.seed);
    let watch = Watch::start();
    if let Some(path) = &args.replay {
        let data = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        return Ok(replay(&chosen, path, &data, &watch));
    }
    let kept = crash::kept()?;
    if !kept.iter().all(|(path, data)| replay(&chosen, path, data, &watch)) {
        return Ok(false);
    }
    println!("{} kept inputs replayed", kept.len());
    let share = Duration::from_secs(args.seconds) / chosen.len() as u32;
    let mut whole = true;
    for target in chosen {
        whole &= fuzz(target, share, args.seed, &kept, &watch)?;
    }
    Ok(whole)
}

/// Runs one file; one that is named after a target runs only there.
fn replay(chosen: &[&Target], path: &std::path::Path, data: &[u8], watch: &Watch) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let of = |t: &Target| name.starts_with(&format!("{}-", t.name));
    let named = TARGETS.iter().any(of);
    let mut whole = true;
    for target in chosen.iter().filter(|t| !named || of(t)) {
        if let Err(why) = watch.run(target, data, &mut Vec::new()) {
            println!("{}: {}: {why}", path.display(), target.name);
            whole = false;
        }
    }
    whole
}

/// Changes inputs for as long as there is time. An input that makes a target note something new
/// joins those that are changed.
fn fuzz(
    target: &Target,
    time: Duration,
    seed: u64,
    kept: &[(PathBuf, Vec<u8>)],
    watch: &Watch,
) -> Result<bool, String> {
    let (mut rng, mut seen, mut notes) = (Rng::new(seed), HashSet::new(), Vec::new());
    let mut pool = (target.seeds)();
    pool.extend(kept.iter().map(|(_, data)| data.clone()));
    let seeds = pool.len();
    let (mut runs, begin) = (0_usize, Instant::now());
    while runs < seeds || begin.elapsed() < time {
        let mut data = pool[if runs < seeds { runs } else { rng.below(pool.len()) }].clone();
        if runs >= seeds {
            let other = rng.below(pool.len());
            mutate(&mut data, &pool[other], &mut rng);
        }
        runs += 1;
        notes.clear();
        if let Err(why) = watch.run(target, &data, &mut notes) {
            let small = crash::minimise(target, data, watch);
            crash::save(target.name, &small, &why)?;
            return Ok(false);
        }
        let fresh = notes.iter().filter(|note| seen.insert(**note)).count() > 0;
        if fresh && runs > seeds {
            if pool.len() < POOL {
                pool.push(data);
            } else {
                let at = seeds + rng.below(POOL - seeds);
                pool[at] = data;
            }
        }
    }
    let kinds = seen.len();
    println!("{}: {runs} runs, {seeds} seeds, {} inputs, {kinds} outcomes", target.name, pool.len());
    Ok(true)
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}
