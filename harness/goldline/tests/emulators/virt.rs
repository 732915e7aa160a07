//! The reference firmware's machine code in QEMU as a distribution has it, on its machine `virt`: what a CI can run.
//!
//! It is the firmware's code on another board, and no ESP32: chip, ROM and drivers are proven in Espressif's QEMU and on
//! boards. The network is Ethernet, so there is no WiFi password that could be wrong.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use rstest::rstest;

use super::{
    processes::{self, Process, wait_until},
    reference::{Board, Edit, MISSING_KEY, OTHER_IDENTITY, PANIC, SAME, WRONG_CA, WRONG_PASSWORD},
};
use crate::end_to_end::program::{Ended, Station, check};

const QEMU: &str = "qemu-system-riscv32";
/// QEMU's first card has it.
const MAC: &str = "52:54:00:12:34:56";

/// The board, where QEMU and the firmware are there. What is missing skips the test by name, but not in CI.
fn board() -> Option<Board> {
    let built = Path::new(env!("CARGO_BIN_EXE_goldline")).with_file_name("examples");
    let program = built.join("qemu_virt");
    assert!(program.is_file(), "{} is not built: cargo build --examples", program.display());
    if let Some(missing) = missing(&program) {
        assert!(std::env::var_os("CI").is_none(), "CI must have it: {missing}");
        eprintln!("skipped: {missing}");
        return None;
    }
    Some(Board::Virt { program })
}

fn missing(program: &Path) -> Option<&'static str> {
    let asked = Command::new(program).args(["-M", "help"]).stdin(Stdio::null()).output();
    if !asked.expect("it is ours").status.success() {
        return Some("qemu-system-riscv32 is not installed: run ci/install");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let is_built = root.join("target/firmware/reference/virt/bootloader.bin").is_file();
    (!is_built).then_some("the reference firmware is not built: run cargo xtask firmware")
}

/// What a run says of the unit.
fn diagnosis(ended: &Ended) -> (i32, String) {
    let record = ended.json();
    let code = record["diagnosis"]["code"].as_str().unwrap_or("nothing");
    (ended.code(), code.to_owned())
}

#[test]
fn a_blank_unit_passes_with_mutual_tls_and_a_command_that_is_answered() {
    let Some(board) = board() else { return };
    let good = board.run(SAME);
    let record = good.json();
    assert_eq!((good.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    assert_eq!(record["unit"]["mac"], MAC);
    assert_eq!(record["network"]["name"], "wire");
    let emulator = record["emulator"].as_str().expect("it is told");
    assert!(emulator.starts_with("QEMU emulator version"), "{emulator}");
    let connected = check(&record, "mqtt_connect")["measurements"].as_array().expect("some");
    let measured = |name: &str| {
        let found = connected.iter().find(|one| one["name"] == name);
        found.unwrap_or_else(|| panic!("{name} is missing: {record:#}"))["value"].clone()
    };
    assert_eq!(measured("tls_version"), "TLSv1.3");
    let uuid = record["unit"]["ids"]["uuid"].as_str().expect("it has one");
    assert_eq!(measured("client_certificate"), format!("CN={uuid}"));
    assert!(measured("round_trip_ms").is_number());
}

#[test]
fn a_blank_unit_is_given_all_over_its_console_and_passes() {
    let Some(board) = board() else { return };
    let profile = board.profile("reference-console", &[]);
    let good = board.run_profile(&profile, &[]);
    let record = good.json();
    assert_eq!((good.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    for id in ["factory_reset", "nvs_readback", "test_alert", "console_status"] {
        assert_eq!(check(&record, id)["outcome"], "pass", "{id}");
    }
}

#[rstest]
#[case::wrong_password(WRONG_PASSWORD, "mqtt.bad_credentials")]
#[case::wrong_ca(WRONG_CA, "mqtt.server_untrusted")]
#[case::missing_key(MISSING_KEY, "firmware.configuration")]
#[case::other_identity(OTHER_IDENTITY, "mqtt.identity_differs")]
fn a_bad_unit_fails_by_its_reason(#[case] edit: Edit, #[case] code: &str) {
    let Some(board) = board() else { return };
    let bad = board.run(edit);
    assert_eq!(diagnosis(&bad), (1, code.to_owned()), "{:#}", bad.json());
}

#[test]
fn a_unit_that_crashes_fails_with_the_line_that_did_it() {
    let Some(board) = board() else { return };
    let bad = board.run(PANIC);
    assert_eq!(diagnosis(&bad), (1, "boot.loop".to_owned()), "{:#}", bad.json());
    let first = &bad.json()["panic"]["frames"][0];
    assert_eq!(first["function"], "crash", "{first}");
    let place = first["place"].as_str().expect("it has one");
    assert!(place.starts_with("fixtures/firmware/reference/src/main.rs:"), "{place}");
}

#[test]
fn a_unit_that_nobody_told_the_time_trusts_no_certificate() {
    let Some(board) = board() else { return };
    let no_time =
        [("[time]\nserver = \"time.example.test\"\n", ""), ("[[check]]\nid = \"time_sync\"\n", "")];
    let profile = board.profile("reference", &no_time);
    let bad = board.run_profile(&profile, &[]);
    assert_eq!(diagnosis(&bad), (1, "mqtt.server_untrusted".to_owned()), "{:#}", bad.json());
}

#[test]
fn a_bench_whose_clock_is_wrong_fails_no_unit() {
    let Some(board) = board() else { return };
    let profile = board.profile("reference", &[]);
    let ended = board.run_profile(&profile, &["--fault", "time_server.wrong"]);
    assert_eq!(diagnosis(&ended), (3, "testbed.time_server".to_owned()), "{:#}", ended.json());
}

#[test]
fn a_unit_s_flash_is_kept_as_an_esp32_s_and_judged_again() {
    let Some(board) = board() else { return };
    let (station, profile) = (Station::new(), board.profile("reference-console", &[]));
    let device = board.device("&flash-file=unit.bin");
    for command in ["run", "check"] {
        let ended =
            Ended::of(&mut board.command(&station, &profile, &[command, "--device", &device]));
        assert_eq!(ended.code(), 0, "{command}: {ended:?}");
        let size = fs::metadata(station.path("unit.bin")).expect("it is kept").len();
        assert_eq!(size, 4 << 20, "{command}");
    }
}

#[test]
fn the_bootloader_starts_no_application_that_is_damaged() {
    let Some(board) = board() else { return };
    let Board::Virt { program } = &board else { unreachable!("that is the board") };
    let (station, profile) = (Station::new(), board.profile("reference-console", &[]));
    let device = board.device("&flash-file=unit.bin");
    let mut command = board.command(&station, &profile, &["provision", "--device", &device]);
    let provisioned = Ended::of(&mut command);
    assert_eq!(provisioned.code(), 0, "{provisioned:?}");
    let path = station.path("unit.bin");
    assert_eq!(printed_up_to("Calling app_main()", program, &path), None);
    let mut flash = fs::read(&path).expect("a flash");
    flash[0x2_0000] ^= 1;
    fs::write(&path, flash).expect("it is ours");
    let refusal = printed_up_to("No bootable app", program, &path);
    assert_eq!(refusal, Some("E (0) esp_image: image at 0x10000: Checksum failed".to_owned()));
}

/// Runs this flash until the unit prints so; what it said of its image before.
fn printed_up_to(last: &str, program: &Path, flash: &Path) -> Option<String> {
    let drive = format!("file={},if=mtd,format=raw", flash.display());
    let words = ["-M", "virt", "-display", "none", "-monitor", "none", "-nic", "none"];
    let mut qemu = Command::new(program);
    qemu.args(words).args(["-serial", "stdio", "-drive", &drive]);
    let mut qemu = qemu.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it starts");
    let lines = BufReader::new(qemu.stdout.take().expect("it is piped")).lines();
    let mut of_image = None;
    let mut lines = lines.map(|line| line.expect("the unit prints text"));
    let found = lines.any(|line| {
        let is_last = line.contains(last);
        of_image = of_image.take().or(line.contains("esp_image").then_some(line));
        is_last
    });
    qemu.kill().expect("it runs");
    qemu.wait().expect("it is gone");
    assert!(found, "the unit never printed {last}");
    of_image
}

#[test]
fn nothing_of_it_outlives_a_program_that_is_killed() {
    let Some(board) = board() else { return };
    let station = Station::new();
    // A broker that the bench does not answer for: the unit runs on without it.
    let broker = ("value = \"{mqtt_broker}\"", "value = \"mqtts://other.example.test:8883\"");
    let profile = board.profile("reference", &[broker]);
    let device = board.device("");
    let mut command = board.command(&station, &profile, &["run", "--device", &device]);
    // Sockets and flash lie in here, so each of its processes names it.
    let private = station.path("private");
    fs::create_dir(&private).expect("a folder");
    command.env("TMPDIR", &private).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the program starts");
    let is_running = |process: &Process| process.is(QEMU, "-M") && !process.has("-S");
    wait_until("a unit that runs", || processes::naming(&private).iter().any(is_running));
    child.kill().expect("it runs");
    child.wait().expect("it is gone");
    wait_until("the end of all", || processes::naming(&private).is_empty());
}
