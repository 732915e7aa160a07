//! `reset=none`: somebody presses the unit's buttons, is asked to, and is believed by what the unit shows.
//!
//! The units' lines do nothing; the tests press their buttons, at times the wrong ones.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    os::fd::OwnedFd,
    process::{Child, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use rustix::{
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};
use serde_json::Value;

use super::{
    bad_contacts::watched,
    contacts::{Held, Nest},
    program::{Ended, Station},
    resets::{product, provision},
};

const DEADLINE: Duration = Duration::from_secs(120);
/// Nothing tells that nothing will come.
const A_WHILE: Duration = Duration::from_millis(600);

const HOLD_BOOT: &str = "hold BOOT, press EN (reset), and let go of both, EN first";
const PRESS_EN: &str = "press EN (reset) once, without BOOT";

fn nest(station: &Station, name: &str, mac: &str) -> Held {
    Nest::set_up(station, name, &[&["--mac", mac, "--mode", "boot"]])
}

/// What is said, line by line.
fn lines_of(said: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(said).lines().map_while(Result::ok) {
            if sender.send(line.trim_end().to_owned()).is_err() {
                return;
            }
        }
    });
    lines
}

fn next(lines: &Receiver<String>) -> String {
    lines.recv_timeout(DEADLINE).expect("something is said")
}

fn record(child: Child) -> Value {
    Ended::from(child.wait_with_output().expect("it ends")).json()
}

fn passes(record: &Value) {
    assert_eq!(record["verdict"], "PASS", "{record:#}");
}

/// Each button is pressed wrongly first; the boot log tells, and it is asked for once more.
#[test]
fn a_unit_is_led_by_hand_and_asked_for_again_where_the_wrong_button_was_pressed() {
    let station = watched();
    let nest = nest(&station, "port", "24:0a:c4:00:02:10");
    let words = ["run", "own.toml", "--json", "--device", "serial:port?reset=none:100"];
    let mut command = station.unit_command(words);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let said = lines_of(child.stderr.take().expect("stderr is a pipe"));
    let asks = |words: &str, seen: &str| {
        let line = next(&said);
        assert!(line.contains("serial:port?reset=none:100: ") && line.contains(words), "{line}");
        assert!(line.contains(seen), "{line}");
    };
    asks(HOLD_BOOT, "");
    nest.press_button("application");
    asks(HOLD_BOOT, "it started its application (\"rst:0x1 (POWERON_RESET),boot:0x13");
    nest.press_button("download");
    asks(PRESS_EN, "");
    nest.press_button("download");
    asks(PRESS_EN, "it waits in its download mode (\"");
    nest.press_button("application");
    asks(HOLD_BOOT, "");
    nest.press_button("download");
    passes(&record(child));
}

/// A terminal of its own: what is typed there, and what is shown.
fn terminal() -> (File, OwnedFd) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
        .expect("a pseudo-terminal");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("it may be used");
    let name = ptsname(&master, Vec::new()).expect("its name");
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let terminal = open(name.as_c_str(), flags, Mode::empty()).expect("it opens");
    (File::from(master), terminal)
}

/// Whoever has two hands is asked for one unit at a time, and Enter alone leads no unit anywhere.
#[test]
fn at_a_terminal_one_unit_at_a_time_is_asked_for_and_enter_is_no_proof() {
    let station = watched();
    let nests =
        [nest(&station, "one", "24:0a:c4:00:02:10"), nest(&station, "two", "24:0a:c4:00:02:20")];
    let devices = ["serial:one?reset=none:100", "serial:two?reset=none:100"];
    let (mut keyboard, terminal) = terminal();
    let mut command = station.unit_command(["run", "own.toml", "--json"]);
    command.args(devices.iter().flat_map(|device| ["--device", device]));
    command.stdin(terminal.try_clone().expect("its input")).stdout(Stdio::piped());
    let child = command.stderr(terminal).spawn().expect("it starts");
    // What a command keeps of the terminal would keep it from its end.
    drop(command);
    let said = lines_of(keyboard.try_clone().expect("its output"));
    let mut asked = 0;
    let mut doubted = false;
    // For each of the two: into the loader, into the application, and into the loader once more.
    while asked < 6 {
        let line = next(&said);
        let Some(nest) = nests.iter().zip(devices).find(|(_, device)| line.starts_with(device))
        else {
            continue;
        };
        assert!(line.ends_with(", then press Enter"), "{line}");
        assert_eq!(
            said.recv_timeout(A_WHILE),
            Err(RecvTimeoutError::Timeout),
            "nobody else is asked for while {line}"
        );
        if !doubted {
            doubted = true;
            keyboard.write_all(b"\n").expect("a key");
            let line = std::iter::repeat_with(|| next(&said)).find(|line| !line.is_empty());
            let line = line.expect("it asks again");
            assert!(line.contains("no loader answered SYNC: hold BOOT"), "{line}");
        }
        let button = if line.contains(HOLD_BOOT) { "download" } else { "application" };
        nest.0.press_button(button);
        asked += 1;
    }
    for record in record(child).as_array().expect("two records") {
        passes(record);
    }
}

#[test]
fn a_unit_that_nobody_leads_there_is_given_up_in_time() {
    let station = product();
    let _nest = nest(&station, "port", "24:0a:c4:00:02:10");
    let ended = provision(&station, "serial:port?reset=none:1");
    let record = ended.json();
    assert_eq!((ended.code(), &record["diagnosis"]["code"]), (3, &"port.no_answer".into()));
    let message = record["diagnosis"]["message"].as_str().expect("a message");
    assert!(message.contains("it was to come into its download mode within 1 s"), "{message}");
    assert!(ended.said().contains(HOLD_BOOT), "{}", ended.stderr);
}
