//! Who has a port open or locked: processes, by their descriptors, their locks and the files that some leave.
//!
//! Of another user's process Linux tells an ordinary user less: its locks, and nothing of what it has open.

use std::{
    fmt, fs,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use rustix::fs::{major, minor};

use super::{accounts, machine::Machine};

/// A process that has a port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// The name of its program, where it can be read.
    pub program: Option<String>,
    /// Whose it is, where that is another user than the one who asks.
    pub user: Option<String>,
    /// What tells that it has the port.
    pub how: How,
}

/// What tells that a process has a port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum How {
    /// One of its descriptors.
    Open,
    /// A lock on the port's node.
    Lock,
    /// A lock file of the UUCP form, `LCK..ttyUSB0`, with its number.
    LockFile,
}

/// Who has a port, as far as can be seen.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Holders {
    /// By their numbers; this process is never among them.
    pub seen: Vec<Holder>,
    /// Whether there are processes whose descriptors this user may not see: nobody seen is then no proof.
    pub some_unseen: bool,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.program {
            Some(program) => write!(f, "{program} (pid {}", self.pid)?,
            None => write!(f, "a process (pid {}", self.pid)?,
        }
        match &self.user {
            Some(user) => write!(f, " of {user})"),
            None => f.write_str(")"),
        }
    }
}

impl fmt::Display for Holders {
    /// `minicom (pid 17 of joe), esptool (pid 18)`; of nobody seen, what that means.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.seen.as_slice(), self.some_unseen) {
            ([], true) => f.write_str("a process of another user's, which only root can name"),
            ([], false) => {
                f.write_str("a process that cannot be seen from here, in another container perhaps")
            }
            (seen, _) => {
                let names: Vec<String> = seen.iter().map(Holder::to_string).collect();
                f.write_str(&names.join(", "))
            }
        }
    }
}

/// Who has a port. A pseudo terminal is served by the process that has its other end, which is no holder.
pub fn holders(machine: &Machine, port: &Path) -> Holders {
    let Ok(metadata) = fs::metadata(port) else { return Holders::default() };
    if !metadata.file_type().is_char_device() || major(metadata.rdev()) == MEMORY_DEVICES {
        return Holders::default();
    }
    let node = Node { number: metadata.rdev(), place: (metadata.dev(), metadata.ino()) };
    let mut found = Holders::default();
    for pid in processes(machine) {
        match has_open(machine, pid, node.number) {
            Some(true) => found.seen.push(holder(machine, pid, How::Open)),
            Some(false) => {}
            None => found.some_unseen = true,
        }
    }
    for pid in locked_by(machine, node.place) {
        found.add(holder(machine, pid, How::Lock));
    }
    if let Some(pid) = lock_file(machine, port) {
        found.add(holder(machine, pid, How::LockFile));
    }
    found.seen.sort();
    found
}

/// A character device: its number, and where the file system keeps its node.
struct Node {
    number: u64,
    place: (u64, u64),
}

impl Holders {
    fn add(&mut self, holder: Holder) {
        let own = holder.pid == std::process::id();
        if !own && self.seen.iter().all(|seen| seen.pid != holder.pid) {
            self.seen.push(holder);
        }
    }
}

fn processes(machine: &Machine) -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(machine.proc()).into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| *pid != std::process::id())
}

fn folder(machine: &Machine, pid: u32) -> PathBuf {
    machine.proc().join(pid.to_string())
}

/// Whether a process has a device open without being its other end; `None` when that may not be seen.
fn has_open(machine: &Machine, pid: u32, number: u64) -> Option<bool> {
    let process = folder(machine, pid);
    let Ok(entries) = fs::read_dir(process.join("fd")) else {
        // One that has just ended is no secret.
        return if process.exists() { None } else { Some(false) };
    };
    let mut open = false;
    for entry in entries.flatten() {
        // Only of what may be a terminal: to look at others may block.
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        if !target.starts_with("/dev") {
            continue;
        }
        let Ok(metadata) = fs::metadata(entry.path()) else { continue };
        if metadata.file_type().is_char_device() && metadata.rdev() == number {
            open = true;
        } else if is_other_end(&process, &entry.file_name().to_string_lossy(), &target, number) {
            return Some(false);
        }
    }
    Some(open)
}

/// `/dev/null` and its like, which everybody has open.
const MEMORY_DEVICES: u32 = 1;
/// Numbers of the pseudo terminals of Linux: 256 for each of these, from the first on.
const PSEUDO_TERMINALS: std::ops::RangeInclusive<u32> = 136..=143;

/// Whether a descriptor is the master of the pseudo terminal with this number.
fn is_other_end(process: &Path, descriptor: &str, target: &Path, number: u64) -> bool {
    if !PSEUDO_TERMINALS.contains(&major(number)) || !target.ends_with("ptmx") {
        return false;
    }
    let index = (major(number) - PSEUDO_TERMINALS.start()) * 256 + minor(number);
    let facts = fs::read_to_string(process.join("fdinfo").join(descriptor)).unwrap_or_default();
    let named = facts.lines().find_map(|line| line.strip_prefix("tty-index:"));
    named.and_then(|named| named.trim().parse().ok()) == Some(index)
}

/// The processes that have a lock on a node, whosever they are.
fn locked_by(machine: &Machine, (device, inode): (u64, u64)) -> Vec<u32> {
    let text = fs::read_to_string(machine.proc().join("locks")).unwrap_or_default();
    let node = format!("{:02x}:{:02x}:{inode}", major(device), minor(device));
    // `1: FLOCK  ADVISORY  WRITE 3548 00:1d:26 0 EOF`; a lock that waits has an arrow before its kind.
    let pid = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let at = fields.iter().position(|field| *field == node)?;
        (!fields.contains(&"->")).then(|| fields[at - 1].parse().ok()).flatten()
    };
    text.lines().filter_map(pid).collect()
}

/// Whoever left a lock file for a port and lives still; a dead one's file counts for nothing.
fn lock_file(machine: &Machine, port: &Path) -> Option<u32> {
    let port = fs::canonicalize(port).ok()?;
    let name = format!("LCK..{}", port.file_name()?.to_string_lossy());
    let texts = machine.lock_folders().into_iter().map(|folder| folder.join(&name));
    let mut pids = texts.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
    pids.find(|pid| folder(machine, *pid).exists())
}

fn holder(machine: &Machine, pid: u32, how: How) -> Holder {
    let process = folder(machine, pid);
    let program = fs::read_to_string(process.join("comm")).ok();
    let program = program.map(|name| name.trim().chars().filter(|c| !c.is_control()).collect());
    let owner = fs::metadata(&process).ok().map(|process| process.uid());
    let other = owner.filter(|id| *id != rustix::process::geteuid().as_raw());
    Holder { pid, program, user: other.map(|id| accounts::user(machine, id)), how }
}
