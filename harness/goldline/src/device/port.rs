//! Why a port cannot be used: what stands at its path, and what the system says when it is opened.
//!
//! Opens nothing itself.

use std::{
    fs, io,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};

use serialport::ErrorKind;

/// What stands at the path is something else than a port.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is {kind}, not a port", .path.display())]
pub struct NotAPort {
    path: PathBuf,
    kind: &'static str,
}

impl NotAPort {
    /// What to do about it.
    pub fn action(&self) -> &'static str {
        "name a serial port: ls /dev/serial/by-id shows those on USB"
    }
}

/// Refuses what no unit can hang on. Where nothing is, a port may come yet: opening it tells.
///
/// # Errors
/// [`NotAPort`] with what stands there.
pub fn refuse_what_is_no_port(path: &Path) -> Result<(), NotAPort> {
    let Ok(metadata) = fs::metadata(path) else { return Ok(()) };
    let kind = match metadata.file_type() {
        kind if kind.is_char_device() => return Ok(()),
        kind if kind.is_dir() => "a folder",
        kind if kind.is_file() => "a file",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        _ => "a disk",
    };
    Err(NotAPort { path: path.to_owned(), kind })
}

/// Opening or using the line failed.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The port cannot be opened.
    #[error("cannot open {port}: {source}")]
    Open {
        /// Path of the port.
        port: String,
        /// The operating system's or serialport's reason.
        source: serialport::Error,
    },
    /// Somebody else has the port.
    #[error("cannot open {port}: it is held by {holders}")]
    Held {
        /// Path of the port.
        port: String,
        /// Program and number of each, as far as they can be seen.
        holders: String,
    },
    /// This user may not open the port.
    #[error("cannot open {port}: permission denied; {barrier}")]
    NotAllowed {
        /// Path of the port.
        port: String,
        /// What keeps the user from it.
        barrier: Barrier,
    },
    /// Nobody is reached at a port on the network.
    #[error("cannot connect to {port}: {source}")]
    Connect {
        /// Its URL.
        port: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// Whoever listens there has no serial port to offer.
    #[error("{port} does not speak RFC 2217: {detail}")]
    NotRfc2217 {
        /// Its URL.
        port: String,
        /// What came instead.
        detail: String,
    },
    /// A server does not say that it did what it was asked.
    #[error("{port} does not acknowledge {request}")]
    Unacknowledged {
        /// Its URL.
        port: String,
        /// The RFC's name of the request.
        request: &'static str,
    },
    /// A PTY of our own cannot be made.
    #[error("cannot make a pseudo terminal: {0}")]
    Pty(#[from] io::Error),
    /// The port does not take the baud rate.
    #[error("{port} does not take {baud} baud: {source}")]
    Baud {
        /// Path of the port.
        port: String,
        /// The rate that was asked for.
        baud: u32,
        /// serialport's reason.
        source: serialport::Error,
    },
}

/// What keeps a user from a port.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum Barrier {
    #[error("it is the group {group}'s, and {user} is not in it: sudo usermod -aG {group} {user}")]
    Group { user: String, group: String },
    #[error("{user} was put into its group {group} after this login")]
    OldLogin { user: String, group: String },
    #[error("it is {owner}'s alone (mode {mode:o}), and no group's")]
    OwnerOnly { owner: String, mode: u32 },
}

impl Barrier {
    fn action(&self) -> &'static str {
        match self {
            Self::Group { .. } => {
                "run that command, which puts the user into the port's group (usually dialout), then log in anew; or let a udev rule give the port to whoever sits there, as ci/jig/60-goldline.rules does"
            }
            Self::OldLogin { .. } => {
                "log out and in again, then test the unit again: a process gets its groups when its user logs in"
            }
            Self::OwnerOnly { .. } => {
                "let a udev rule give the port to a group, as ci/jig/60-goldline.rules does (usually dialout), and plug it in anew"
            }
        }
    }
}

impl LineError {
    /// What to do about it.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Open { source, .. } => to_open(source.kind()),
            Self::Held { .. } => {
                "close the program that holds the port, or name another port; then test the unit again"
            }
            Self::NotAllowed { barrier, .. } => barrier.action(),
            Self::Connect { .. } => {
                "start what serves the port there (goldline simulator serve --rfc2217, esp_rfc2217_server, ser2net), or correct --device"
            }
            Self::NotRfc2217 { .. } => {
                "name the address of an RFC 2217 server; one that carries raw bytes only is socket://HOST:PORT, without modem lines"
            }
            Self::Unacknowledged { .. } => {
                "look at the server of that port: it may be stuck, or its serial port may refuse that setting"
            }
            Self::Pty(_) => "end programs that hold pseudo terminals, then test the unit again",
            Self::Baud { .. } => "name a rate that the port takes, such as ?baud=115200",
        }
    }
}

/// What to do about a port that was not opened.
fn to_open(reason: ErrorKind) -> &'static str {
    match reason {
        ErrorKind::Io(io::ErrorKind::NotFound) => {
            "there is no such port: plug the unit in, and look with ls /dev/serial/by-id what it is called"
        }
        ErrorKind::Io(io::ErrorKind::PermissionDenied) => {
            "let this user open the port: add the user to its group (usually dialout), then log in anew"
        }
        // serialport's word for a lock that another program holds.
        ErrorKind::NoDevice => {
            "close the program that holds the port (fuser -v PORT names it), then test the unit again"
        }
        _ => {
            "name another port with --device: this one is no serial port, or there is nothing behind it"
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::absent(ErrorKind::Io(io::ErrorKind::NotFound), "ls /dev/serial/by-id")]
    #[case::not_allowed(ErrorKind::Io(io::ErrorKind::PermissionDenied), "dialout")]
    #[case::held(ErrorKind::NoDevice, "close the program")]
    #[case::no_terminal(ErrorKind::Unknown, "no serial port")]
    fn each_reason_has_its_own_advice(#[case] reason: ErrorKind, #[case] words: &str) {
        let all = ["ls /dev/serial/by-id", "dialout", "close the program", "no serial port"];
        let source = serialport::Error::new(reason, "refused");
        let error = LineError::Open { port: "/dev/ttyUSB0".to_owned(), source };
        let named: Vec<&str> =
            all.into_iter().filter(|words| error.action().contains(words)).collect();
        assert_eq!(named, [words]);
    }

    #[test]
    fn what_is_no_port_is_called_by_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "text").expect("a file");
        let said = |path: &Path| refuse_what_is_no_port(path).map_err(|error| error.to_string());
        let error = said(folder.path()).expect_err("refused");
        assert!(error.ends_with(" is a folder, not a port"), "{error}");
        let error = said(&file).expect_err("refused");
        assert!(error.ends_with("/file is a file, not a port"), "{error}");
        assert_eq!(said(&folder.path().join("nothing")), Ok(()));
        assert_eq!(said(Path::new("/dev/tty")), Ok(()));
    }
}
