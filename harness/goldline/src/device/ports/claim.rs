//! Whether a port is this process's to open: nobody has it, and the user may.
//!
//! The locks are the kernel's (flock and TIOCEXCL, which serialport takes), so that none outlives its process. They
//! say nothing of a program that takes none, as pyserial does unless told, nor are they told whose they are: that is
//! looked for here.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use rustix::process::geteuid;
use serialport::ErrorKind;

use super::{accounts, holder::holders, machine::Machine};
use crate::device::port::{Barrier, LineError};

/// Bits of a node's mode that let its group read and write.
const GROUP: u32 = 0o060;

/// Refuses a port that somebody has, before it is touched: an open changes its settings and its modem lines under
/// whoever works there.
///
/// # Errors
/// [`LineError::Held`] names who it is.
pub(in crate::device) fn refuse_held(path: &Path) -> Result<(), LineError> {
    match holders(&Machine::of_environment(), path) {
        held if held.seen.is_empty() => Ok(()),
        held => {
            Err(LineError::Held { port: path.display().to_string(), holders: held.to_string() })
        }
    }
}

/// What serialport's refusal means: who has the port, or what keeps the user from it.
pub(in crate::device) fn explained(path: &Path, error: LineError) -> LineError {
    let LineError::Open { source, port } = error else { return error };
    let machine = Machine::of_environment();
    match source.kind() {
        // serialport's word for a lock that another program has.
        ErrorKind::NoDevice => {
            let holders = holders(&machine, path).to_string();
            LineError::Held { port, holders }
        }
        ErrorKind::Io(io::ErrorKind::PermissionDenied) => match barrier(&machine, path) {
            Some(barrier) => LineError::NotAllowed { port, barrier },
            None => LineError::Open { port, source },
        },
        _ => LineError::Open { port, source },
    }
}

/// `None` where the node itself cannot be looked at.
fn barrier(machine: &Machine, path: &Path) -> Option<Barrier> {
    let node = fs::metadata(path).ok()?;
    let user = accounts::user(machine, geteuid().as_raw());
    let group = accounts::group(machine, node.gid());
    let mode = node.mode() & 0o777;
    Some(match () {
        () if mode & GROUP != GROUP => {
            Barrier::OwnerOnly { owner: accounts::user(machine, node.uid()), mode }
        }
        () if group.has(&user) => Barrier::OldLogin { user, group: group.name },
        () => Barrier::Group { user, group: group.name },
    })
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt, process::Command};

    use crate::device::line::{Line, terminal};

    /// serialport gives a port free for others as soon as any copy of its descriptor is closed, and each session had
    /// one: after the first, other programs could open the port of a run.
    #[test]
    fn a_port_stays_locked_when_a_session_has_ended() {
        if !super::geteuid().is_root() {
            println!("skipped: only root can become another user");
            return;
        }
        let (unit, path) = terminal().expect("a pseudo terminal as the unit's port");
        std::fs::set_permissions(&path, Permissions::from_mode(0o666)).expect("its mode");
        let opens = || {
            let mut other = Command::new("setpriv");
            other.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "sh", "-c"]);
            other.args([r#"exec 3<>"$0""#, &path.to_string_lossy()]);
            other.output().expect("setpriv and a shell").status.success()
        };
        assert!(opens(), "nobody has it");
        let line = Line::open(&path, 115_200).expect("it opens");
        assert!(!opens(), "it was opened for one");
        line.attach().expect("a session");
        line.hang_up();
        // The session's thread ends meanwhile.
        assert!((0..20).all(|_| !opens()), "it is open to others");
        drop(line);
        assert!(opens(), "it was given free");
        drop(unit);
    }
}
