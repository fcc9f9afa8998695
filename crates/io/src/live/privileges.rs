//! Giving up all privileges, for good.
//!
//! Sockets that are open stay open, and nothing else needs a privilege: see [`super`]. What the kernel keeps per
//! thread is taken from the thread that calls; threads that it starts later inherit that. So this comes
//! before other threads are started, and it is an error if there is one that still has something.

#![allow(unsafe_code)]

use std::fs;
use std::io;

const HIGHEST: libc::c_ulong = 63;
const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// A user and a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

fn named(what: &str, result: libc::c_long) -> io::Result<()> {
    if result == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    Err(io::Error::new(error.kind(), format!("{what}: {error}")))
}

/// Becomes this user, if one is given, with no further group; then gives up all capabilities and the way to
/// get them back through programs with set-user-ID or capabilities (`no_new_privs`).
///
/// # Errors
/// What the system refused, or which thread still has a privilege. Some may be gone then.
pub fn drop_all(account: Option<Account>) -> io::Result<()> {
    bounding();
    // SAFETY (all calls below): the arguments are integers, or point to values that live until the call returns
    // and have the layout that the kernel documents.
    named("clearing ambient capabilities", unsafe {
        libc::c_long::from(libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
    })?;
    if let Some(Account { uid, gid }) = account {
        // In this order: without the user's privileges the groups cannot be changed.
        unsafe {
            named("giving up groups", libc::setgroups(1, &raw const gid).into())?;
            named("changing the group", libc::setresgid(gid, gid, gid).into())?;
            named("changing the user", libc::setresuid(uid, uid, uid).into())?;
        }
    }
    let header = Header { version: VERSION_3, pid: 0 };
    let none = [0_u32; 6];
    named("giving up capabilities", unsafe {
        libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr())
    })?;
    named("forbidding new privileges", unsafe {
        libc::c_long::from(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    })?;
    verify(account)
}

/// Takes capabilities out of what programs that are started may ever get. Needs a capability itself; without it
/// `no_new_privs` does the same.
fn bounding() {
    for capability in 0..=HIGHEST {
        // SAFETY: as above.
        unsafe {
            if libc::prctl(libc::PR_CAPBSET_READ, capability, 0, 0, 0) == 1 {
                libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
            }
        }
    }
}

/// Reads back what every thread of this process has.
fn verify(account: Option<Account>) -> io::Result<()> {
    for thread in fs::read_dir("/proc/self/task")? {
        let path = thread?.path();
        let Ok(status) = fs::read_to_string(path.join("status")) else {
            continue; // it has ended
        };
        if let Some(line) = status.lines().find(|line| !harmless(line, account)) {
            let id = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Err(io::Error::other(format!(
                "thread {id} still has privileges ({}): give them up before other threads are started",
                line.replace('\t', " ")
            )));
        }
    }
    Ok(())
}

/// Whether a line of /proc/PID/status says nothing of privileges that are left.
fn harmless(line: &str, account: Option<Account>) -> bool {
    let Some((name, value)) = line.split_once(':') else {
        return true;
    };
    let value = value.trim();
    let ids = |wanted: u32| value.split_whitespace().all(|id| id.parse() == Ok(wanted));
    match name {
        "CapInh" | "CapPrm" | "CapEff" | "CapAmb" => value.bytes().all(|b| b == b'0'),
        "NoNewPrivs" => value == "1",
        "Uid" => account.is_none_or(|a| ids(a.uid)),
        "Gid" => account.is_none_or(|a| ids(a.gid)),
        _ => true,
    }
}
