//! Two programs at one port, and a user who may not open it: who has it is named, and what to do.
//!
//! Terminals, locks, processes and users are the kernel's own; the other program is pyserial, or Goldline itself.

use std::{
    fs::{self, Permissions},
    io::{BufRead, BufReader},
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use goldline::process::ChildGuard;
use rstest::rstest;
use rustix::process::geteuid;

use super::{
    jig::{CP2102N, Jig, Terminal, Usb},
    program::{Ended, Station},
    remote::esptool,
};

const DEADLINE: Duration = Duration::from_secs(60);
/// The user of nobody's files, on Debian and elsewhere.
const NOBODY: u32 = 65534;

/// Holds a port as pyserial opens it, and says so.
const HOLD: &str = "\
import serial, sys
port = serial.Serial(sys.argv[1], 115200, exclusive={'True': True, 'None': None}[sys.argv[2]])
print('open', flush=True)
sys.stdin.read()
";

/// Python with pyserial, which esptool stands on.
fn python() -> Option<PathBuf> {
    esptool().map(|esptool| esptool.with_file_name("python"))
}

fn info(station: &Station, port: &Path) -> Ended {
    let device = format!("{}?reset=none:0", port.display());
    station.goldline(["device", "info", "--device", &device])
}

/// That the port was opened: nothing in it answers.
fn is_opened(ended: &Ended) {
    assert_eq!(ended.code(), 3, "{ended:?}");
    assert!(ended.said().contains("no loader answered SYNC"), "{ended:?}");
}

fn is_held(ended: &Ended, port: &Path, by: &str) {
    assert_eq!((ended.code(), ended.stdout.as_str()), (3, ""), "{ended:?}");
    let held = format!("cannot open {}: it is held by {by}", port.display());
    assert!(ended.said().contains(&held), "no \"{held}\" in {}", ended.said());
    assert!(ended.said().contains("close the program that holds the port"), "{ended:?}");
}

#[rstest]
#[case::with_a_lock("True")]
#[case::without_any("None")]
fn a_port_that_pyserial_has_is_left_alone_until_it_goes(#[case] exclusive: &str) {
    let Some(python) = python() else { return };
    let station = Station::new();
    let terminal = Terminal::new();
    let mut command = Command::new(python);
    command.args(["-c", HOLD]).arg(&terminal.path).arg(exclusive);
    let mut holder = ChildGuard::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let holder = holder.as_mut().expect("it starts").child();
    let output = holder.stdout.take().expect("stdout is a pipe");
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).expect("it says so");
    assert_eq!(line, "open\n");
    let name = format!("python (pid {})", holder.id());
    is_held(&info(&station, &terminal.path), &terminal.path, &name);
    holder.kill().and_then(|()| holder.wait()).expect("it ends");
    is_opened(&info(&station, &terminal.path));
}

/// Goldline, listening at a port; it has it when this returns.
fn monitor(jig: &Jig<'_>, port: &str) -> ChildGuard {
    let mut command = jig.command();
    command.args(["device", "monitor", "--no-reset", "--device", port]).stdout(Stdio::null());
    let mut monitor = ChildGuard::spawn(&mut command).expect("it starts");
    let began = Instant::now();
    let pid = monitor.child().id();
    let has_it = || {
        let ended = Ended::of(jig.command().args(["device", "list", "--json"]));
        let ports = ended.json();
        ports[0]["held_by"][0]["pid"] == pid && locks().contains(&format!(" {pid} "))
    };
    while !has_it() {
        assert!(began.elapsed() < DEADLINE, "it does not open the port");
    }
    monitor
}

fn locks() -> String {
    fs::read_to_string("/proc/locks").expect("Linux lists its locks")
}

/// A terminal as a port of a jig's, for all users.
fn jig_with<'a>(station: &'a Station, terminal: &Terminal) -> Jig<'a> {
    let jig = Jig::new(station);
    jig.tty_usb(
        "ttyUSB0",
        "cp210x",
        &Usb { hub: "1-1", id: CP2102N, names: None, serial: None },
        0,
    );
    jig.wire("ttyUSB0", &terminal.path);
    jig
}

#[test]
fn goldline_s_lock_is_named_respected_by_pyserial_and_outlives_nobody() {
    let station = Station::new();
    let terminal = Terminal::new();
    let jig = jig_with(&station, &terminal);
    let mut first = monitor(&jig, &jig.port("ttyUSB0"));
    let name = format!("goldline (pid {})", first.child().id());
    is_held(&info(&station, &terminal.path), &terminal.path, &name);
    if let Some(python) = python() {
        let mut second = Command::new(python);
        second.args(["-c", HOLD]).arg(&terminal.path).arg("True").stdin(Stdio::null());
        let ended = Ended::of(&mut second);
        assert_eq!(ended.stdout, "", "it did not open it");
        assert!(ended.stderr.contains("Could not exclusively lock port"), "{ended:?}");
    }
    // SIGKILL: nobody cleans up but the kernel.
    first.child().kill().and_then(|()| first.child().wait()).expect("it ends");
    is_opened(&info(&station, &terminal.path));
}

/// Runs a program as a user without rights. Only root can.
fn as_nobody(program: impl AsRef<Path>) -> Option<Command> {
    if !geteuid().is_root() {
        println!("skipped: only root can become another user");
        return None;
    }
    let id = NOBODY.to_string();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]).arg(program.as_ref());
    Some(command)
}

/// A folder that everybody may look into, and the program where everybody may run it.
fn open_to_all(station: &Station) -> PathBuf {
    fs::set_permissions(station.path(""), Permissions::from_mode(0o755)).expect("its mode");
    let program = PathBuf::from(env!("CARGO_BIN_EXE_goldline"));
    let runs = as_nobody(&program).is_some_and(|mut command| {
        command.arg("--version").output().is_ok_and(|said| said.status.success())
    });
    if runs {
        return program;
    }
    let copy = station.path("goldline");
    fs::copy(program, &copy).expect("a copy");
    copy
}

fn info_as_nobody(program: &Path, port: &Path, machine: Option<&Path>) -> Option<Ended> {
    let mut command = as_nobody(program)?;
    command.args(["device", "info", "--device"]).arg(format!("{}?reset=none:0", port.display()));
    command.current_dir("/").env_remove("GOLDLINE_DEVICE");
    if let Some(machine) = machine {
        command.env("GOLDLINE_MACHINE", machine);
    }
    Some(Ended::of(&mut command))
}

/// An ordinary user does not see what root's processes have open; the lock tells all the same.
#[test]
fn another_user_s_goldline_is_named_by_its_lock() {
    let station = Station::new();
    let program = open_to_all(&station);
    let terminal = Terminal::new();
    fs::set_permissions(&terminal.path, Permissions::from_mode(0o666)).expect("its mode");
    let jig = jig_with(&station, &terminal);
    let mut first = monitor(&jig, &jig.port("ttyUSB0"));
    let name = format!("goldline (pid {} of root)", first.child().id());
    let Some(ended) = info_as_nobody(&program, &terminal.path, None) else { return };
    is_held(&ended, &terminal.path, &name);
}

#[test]
fn a_port_that_this_user_may_not_open_names_group_command_and_udev_rule() {
    let station = Station::new();
    let program = open_to_all(&station);
    let terminal = Terminal::new();
    let refused = |mode: u32, machine: Option<&Path>, parts: &[&str]| {
        fs::set_permissions(&terminal.path, Permissions::from_mode(mode)).expect("its mode");
        let Some(ended) = info_as_nobody(&program, &terminal.path, machine) else { return false };
        assert_eq!((ended.code(), ended.stdout.as_str()), (3, ""), "{ended:?}");
        let denied = format!("cannot open {}: permission denied; ", terminal.path.display());
        for part in [denied.as_str()].iter().chain(parts) {
            assert!(ended.said().contains(part), "no \"{part}\" in {}", ended.said());
        }
        true
    };
    let alone = ["it is root's alone (mode 600), and no group's", "ci/jig/60-goldline.rules"];
    if !refused(0o600, None, &alone) {
        return;
    }
    // The group as this machine calls it, and as another does.
    let tables = station.path("tables");
    fs::create_dir_all(tables.join("etc")).expect("a folder");
    symlink("/proc", tables.join("proc")).expect("a link");
    let group = |members: &str| format!("root:x:0:\ndialout:x:20:{members}\n");
    let write = |name: &str, text: &str| {
        fs::write(tables.join("etc").join(name), text).expect("a table");
    };
    write("passwd", "root:x:0:0::/root:/bin/sh\njoe:x:65534:65534::/:/bin/sh\n");
    write("group", &group("ann,bob"));
    chown(&terminal.path, None, Some(20)).expect("its group");
    let parts = [
        "it is the group dialout's, and joe is not in it: sudo usermod -aG dialout joe",
        "log in anew",
        "ci/jig/60-goldline.rules",
    ];
    assert!(refused(0o660, Some(&tables), &parts));
    write("group", &group("ann,joe"));
    let parts = ["joe was put into its group dialout after this login", "log out and in again"];
    assert!(refused(0o660, Some(&tables), &parts));
}
