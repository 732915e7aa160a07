//! pytest-embedded's published service for esp-emu drives the stand-in as it would the real one: it merges an
//! image of a build folder, starts the emulator, and has the console on standard input and output.
//!
//! The service is set up in `.venv` by ci/install. What its next version asks besides (`--control-tcp` and
//! `--uart-tcp`) is asked here by hand.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;

use super::esp_emu::stand_in;
use crate::end_to_end::program::Station;

/// Only a program that hangs meets it.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a project's own test of its firmware is like.
const TEST: &str = "
import pytest

def test_the_unit_answers(dut):
    assert dut.target == 'esp32c3'
    dut.expect_exact('ESP-ROM:esp32c3', timeout=60)
    dut.expect_exact('esp32> ', timeout=60)
    dut.write('provision_status')
    dut.expect_exact('tenant-a', timeout=60)
    with pytest.raises(NotImplementedError):
        dut.espemu._hard_reset()
";

/// The flash of a unit with a console, as the simulator provisioned it.
fn flash(station: &Station) -> PathBuf {
    let profile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/profiles");
    let profile = fs::read_to_string(profile.join("safesignal.toml")).expect("it ships");
    let profile = profile.replace("model = \"esp32s3\"", "model = \"esp32c3\"");
    station.write("safesignal.toml", profile);
    let made = station.unit([
        "provision",
        "safesignal.toml",
        "--device",
        "simulator:?flash-file=unit.bin",
    ]);
    assert_eq!(made.code(), 0, "{made:?}");
    station.path("unit.bin")
}

fn tool(name: &str) -> Option<PathBuf> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let venv = env::var_os("GOLDLINE_VENV").map_or(repository.join(".venv"), PathBuf::from);
    let path = venv.join("bin").join(name);
    if !path.exists() {
        eprintln!("skipped: no {name} in .venv: run ci/install");
        return None;
    }
    Some(path)
}

#[test]
fn the_published_service_drives_the_stand_in() {
    let Some(pytest) = tool("pytest") else { return };
    let station = Station::new();
    let build = station.path("build");
    fs::create_dir(&build).expect("a folder");
    fs::copy(flash(&station), build.join("unit.bin")).expect("it is copied");
    let arguments = json!({
        "write_flash_args": ["--flash-mode", "dio", "--flash-size", "4MB", "--flash-freq", "80m"],
        "flash_settings": { "flash_mode": "dio", "flash_size": "4MB", "flash_freq": "80m" },
        "flash_files": { "0x0": "unit.bin" },
        "extra_esptool_args": { "chip": "esp32c3" },
    });
    fs::write(build.join("flasher_args.json"), arguments.to_string()).expect("a file");
    station.write("test_unit.py", TEST);
    let mut command = Command::new(pytest);
    command.current_dir(station.path("")).args(["-p", "no:cacheprovider", "-x"]);
    command.args(["--embedded-services", "idf,espemu", "--target", "esp32c3"]);
    command.arg("--espemu-prog-path").arg(stand_in());
    command.arg("--app-path").arg(station.path("")).arg("--root-logdir").arg(station.path("logs"));
    let ended = command.stdin(Stdio::null()).output().expect("it starts");
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(said.contains("1 passed"), "{said}\n{}", String::from_utf8_lossy(&ended.stderr));
    assert!(build.join("espemu_image.bin").is_file(), "the service made the image");
}

/// The stand-in, which ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has ended.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

impl Running {
    fn start(arguments: &[&str], firmware: &Path) -> Self {
        let mut command = Command::new(stand_in());
        command.args(["--chip", "esp32c3", "--firmware"]).arg(firmware).args(arguments);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        Self(child.expect("it starts"))
    }

    fn code(&mut self) -> Option<i32> {
        self.asked_by(|_| {})
    }

    /// The code with which it ends when this is typed, again and again: a line that comes before the console
    /// listens is lost.
    fn asked(&mut self, line: &str) -> Option<i32> {
        self.asked_by(|typed| {
            // It may have ended.
            let _typed = writeln!(typed, "{line}");
        })
    }

    fn asked_by(&mut self, ask: impl Fn(&mut ChildStdin)) -> Option<i32> {
        let mut typed = self.0.stdin.take().expect("its console");
        let began = Instant::now();
        for turn in 0_u32.. {
            if let Some(status) = self.0.try_wait().expect("it is ours") {
                return status.code();
            }
            assert!(began.elapsed() < PATIENCE, "it does not end");
            if turn.is_multiple_of(100) {
                ask(&mut typed);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

/// Nobody else on the machine has it a moment later either, as a rule.
fn free_port() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("its address").to_string()
}

fn connect(address: &str) -> TcpStream {
    let began = Instant::now();
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
                return stream;
            }
            Err(error) => assert!(began.elapsed() < PATIENCE, "{address}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn hear(from: &mut impl Read, text: &str) {
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains(text) {
        let mut buffer = [0; 256];
        let count = from.read(&mut buffer).expect("the console says more");
        assert!(count > 0, "it ends before {text}: {}", String::from_utf8_lossy(&heard));
        heard.extend(&buffer[..count]);
    }
}

#[test]
fn a_reset_over_the_control_channel_starts_the_unit_anew() {
    let station = Station::new();
    let firmware = flash(&station);
    let address = free_port();
    let mut running = Running::start(&["--control-tcp", &address], &firmware);
    let mut console = running.0.stdout.take().expect("its console");
    hear(&mut console, "esp32> ");
    let mut control = BufReader::new(connect(&address));
    let mut ask = |command: &str| {
        control.get_mut().write_all(format!("{command}\n").as_bytes()).expect("it is heard");
        let mut answer = String::new();
        control.read_line(&mut answer).expect("it is answered");
        answer.trim().to_owned()
    };
    assert_eq!(ask("ping"), "ok");
    assert!(ask("fly").starts_with("err:"));
    assert_eq!(ask("reset"), "ok");
    hear(&mut console, "ESP-ROM:esp32c3");
    hear(&mut console, "esp32> ");
}

#[test]
fn the_loader_answers_esptool_over_the_uart_s_socket() {
    let Some(esptool) = tool("esptool") else { return };
    let station = Station::new();
    let firmware = flash(&station);
    let address = free_port();
    let arguments = ["--uart-tcp", &address, "--strap-mode", "0x02"];
    let _running = Running::start(&arguments, &firmware);
    drop(connect(&address));
    let mut command = Command::new(esptool);
    command.args(["--chip", "esp32c3", "--port", &format!("socket://{address}")]);
    command.args(["--before", "no-reset", "--after", "no-reset", "read-mac"]);
    let ended = command.stdin(Stdio::null()).output().expect("it starts");
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(said.contains("24:0a:c4:00:00:01"), "{said}");
}

#[test]
fn the_ends_are_as_documented() {
    let station = Station::new();
    let firmware = flash(&station);
    let exit_on = Running::start(&["--exit-on", "Calling app_main"], &firmware).code();
    assert_eq!(exit_on, Some(0));
    let timeout = Running::start(&["--timeout", "50ms"], &firmware).code();
    assert!(
        timeout.is_some_and(|code| code != 0),
        "{timeout:?}: undocumented, so it is none of the usual"
    );
    let unknown = Running::start(&["--turbo"], &firmware).code();
    assert!(unknown.is_some_and(|code| code != 0), "{unknown:?}");
}

/// Whether a graceful end wrote the file, with and without `--save-state`.
#[test]
fn the_flash_comes_back_only_when_it_is_saved() {
    let station = Station::new();
    let firmware = flash(&station);
    let read = || fs::read(&firmware).expect("a flash");
    // Somewhere in the file, which the unit in memory does not see.
    let before = read();
    let mut touched = before.clone();
    touched[0x3F_0000] = 0x5A;
    for (more, comes_back) in [(&[][..], false), (&["--save-state"], true)] {
        fs::write(&firmware, &before).expect("a flash");
        let mut running = Running::start(&[&["--exit-on", "tenant-a"], more].concat(), &firmware);
        let mut console = running.0.stdout.take().expect("its console");
        hear(&mut console, "esp32> ");
        fs::write(&firmware, &touched).expect("a flash");
        assert_eq!(running.asked("provision_status"), Some(0));
        assert_eq!(read()[0x3F_0000] != 0x5A, comes_back, "{more:?}");
    }
}
