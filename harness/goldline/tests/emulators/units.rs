//! Runs of units in an emulator. The stand-in's unit runs a firmware description, which lies in its flash like
//! any other application: to the harness it is an image of the product's own.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::process::{Signal, kill_process};

use super::{
    parts::{attempts, image},
    processes::{self, Process, wait_until},
    qemu::Emulator,
};
use crate::end_to_end::program::{Ended, PROFILE, Station};

/// The base MAC of QEMU's ESP32.
const MAC: &str = "10:01:00:c4:0a:24";

/// A station with espvault's images as files, and a profile that names them.
struct Site {
    station: Station,
    emulator: Emulator,
}

impl Site {
    fn new() -> Self {
        Self::with(|profile| profile)
    }

    /// With another profile.
    fn with(edit: impl Fn(String) -> String) -> Self {
        let station = Station::new();
        let unit = format!("simulator:?mac={MAC}&flash-file=unit.bin");
        let made = station.unit(["provision", "espvault", "--device", &unit]);
        assert_eq!(made.code(), 0, "{made:?}");
        let flash = fs::read(station.path("unit.bin")).expect("a flash");
        station.write("bootloader.bin", image(&flash, 0x1000, 0x8000));
        station.write("app.bin", image(&flash, 0x2_0000, 0x1A_0000));
        let own = PROFILE
            .replace("name = \"espvault\"", "name = \"emulated\"")
            .replace("bootloader = \"esp-idf\"", "bootloader = \"bootloader.bin\"")
            .replace("app = { model = \"espvault\" }", "app = { file = \"app.bin\" }");
        station.write("emulated.toml", edit(own));
        Self { station, emulator: Emulator::stand_in() }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.station.unit_command([words, &["emulated.toml", "--json"]].concat());
        command.env("GOLDLINE_QEMU", self.emulator.folder());
        command
    }

    fn run(&self, device: &str) -> Ended {
        Ended::of(&mut self.command(&["run", "--device", device]))
    }

    /// The emulator's processes, the watcher of each included.
    fn processes(&self) -> Vec<Process> {
        processes::naming(self.emulator.folder())
    }

    /// Starts a run whose unit never connects, and waits until it has booted.
    fn start(&self) -> Child {
        let mut command = self.command(&["run", "--device", "qemu:"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child = child.expect("the program starts");
        // The first emulator only tells the MAC; the second one boots.
        wait_until("a unit that runs", || self.processes().iter().any(is_running));
        child
    }
}

/// Whether a process is an emulator that runs its guest: one with a console and without `-S`, so that neither
/// the one that is asked for its version nor the watcher is taken for it.
fn is_running(process: &Process) -> bool {
    process.is("qemu-system-xtensa", "-serial") && !process.has("-S")
}

fn silent(profile: String) -> String {
    // A broker that the bench does not answer for: the unit runs on without it.
    profile.replace("value = \"{mqtt_broker}\"", "value = \"mqtts://other.example.test:8883\"")
}

#[test]
fn a_good_unit_passes_over_its_own_wire() {
    let site = Site::new();
    let ended = site.run("qemu:");
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    assert_eq!(record["unit"]["mac"], MAC);
    assert_eq!(record["network"]["name"], "wire");
    assert_eq!(record["emulator"], "QEMU emulator version 8.1.3");
    assert_eq!(attempts(&record, "boot"), 1);
    assert!(site.processes().is_empty(), "nothing of it is left");
}

#[test]
fn a_unit_with_a_key_missing_fails_by_its_name() {
    let key = "  { key = \"mqtt_broker\", encoding = \"string\", value = \"{mqtt_broker}\" },\n";
    let site = Site::with(|profile| profile.replace(key, ""));
    let ended = site.run("qemu:");
    let record = ended.json();
    assert_eq!((ended.code(), &record["diagnosis"]["code"]), (1, &"firmware.configuration".into()));
    assert!(
        record["diagnosis"]["message"].as_str().is_some_and(|text| text.contains("mqtt_broker"))
    );
}

#[test]
fn a_boot_that_hangs_is_tried_again_and_told() {
    let site = Site::new();
    let hangs = site.station.write("hangs", "1");
    let mut command = site.command(&["run", "--device", "qemu:"]);
    let ended = Ended::of(command.env("GOLDLINE_STAND_IN_HANGS", hangs));
    let record = ended.json();
    assert_eq!((ended.code(), attempts(&record, "boot")), (0, 2), "{record:#}");
}

/// A sound MicroPython failed so, for the emulator hung at each of its starts.
#[test]
fn a_unit_that_hangs_at_every_start_is_no_bad_one() {
    let site = Site::new();
    let hangs = site.station.write("hangs", "99");
    let mut command = site.command(&["run", "--device", "qemu:"]);
    let ended = Ended::of(command.env("GOLDLINE_STAND_IN_HANGS", hangs));
    let record = ended.json();
    let said = &record["diagnosis"];
    assert_eq!((ended.code(), &said["code"]), (3, &"emulator.failed".into()), "{record:#}");
    assert!(said["message"].to_string().contains("in each of 10 boots"), "{record:#}");
}

#[test]
fn a_unit_s_flash_is_kept_in_the_named_file() {
    let site = Site::new();
    let device = "qemu:?flash-file=emulated.bin";
    assert_eq!(site.run(device).code(), 0);
    let ended = Ended::of(&mut site.command(&["check", "--device", device]));
    assert_eq!(ended.code(), 0, "{ended:?}");
}

#[test]
fn an_emulator_that_dies_says_nothing_of_the_unit() {
    let site = Site::with(silent);
    let child = site.start();
    for Process { pid, .. } in site.processes().into_iter().filter(is_running) {
        kill_process(pid, Signal::KILL).expect("it runs");
    }
    let ended = Ended::from(child.wait_with_output().expect("it ends"));
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (3, &"ERROR".into()), "{record:#}");
}

#[test]
fn an_emulator_ends_with_a_program_that_is_killed() {
    let site = Site::with(silent);
    let mut child = site.start();
    child.kill().expect("it runs");
    child.wait().expect("it is gone");
    wait_until("the emulator's end", || site.processes().is_empty());
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_touched() {
    let site = Site::new();
    let nowhere = site.station.write("no-emulator", "");
    for (words, environment, part) in [
        (&["--device", "qemu:?chip=esp32c6"][..], None, "QEMU emulates no esp32c6"),
        (&["--device", "qemu:?machine=esp32-other"], None, "has no machine esp32-other"),
        (&["--device", "qemu:", "--network", "air"], None, "leave --network out"),
        (&["--device", "qemu:", "--fault", "firmware.wrong_ca"], None, "the simulator's"),
        (&["--device", "qemu:"], Some(nowhere.as_path()), "install Espressif's QEMU"),
    ] {
        let mut command = site.command(&[&["run"], words].concat());
        if let Some(path) = environment {
            command.env("GOLDLINE_QEMU", path);
        }
        let ended = Ended::of(&mut command);
        assert_eq!(ended.code(), 2, "{ended:?}");
        assert!(ended.said().contains(part), "{}", ended.said());
    }
    let model = site.station.unit(["run", "espvault", "--device", "qemu:"]);
    assert!(model.code() == 2 && model.said().contains("runs in the simulator only"), "{model:?}");
}

#[test]
fn one_flash_file_is_one_run_s_unit() {
    let site = Site::with(silent);
    let path: PathBuf = site.station.path("held.bin");
    let held = fs::File::create(&path).expect("a file");
    held.lock().expect("it is ours");
    let ended = site.run("qemu:?flash-file=held.bin");
    let record = ended.json();
    assert_eq!((ended.code(), &record["diagnosis"]["code"]), (3, &"emulator.failed".into()));
    assert_eq!(
        fs::metadata(Path::new(&path)).expect("it is there").len(),
        0,
        "nothing was written"
    );
}

/// Nobody described what its firmware does: of its flash alone bad units are made, by its own loader.
#[test]
fn a_products_own_firmware_is_proven_by_what_can_be_done_to_its_flash() {
    let site = Site::new();
    let prove = |more: &[&str]| {
        let mut command = site.station.command();
        command.args(["prove", "emulated.toml", "--device", "qemu:", "--state"]);
        command.arg(site.station.state()).args(more);
        Ended::of(command.env("GOLDLINE_QEMU", site.emulator.folder()))
    };
    let listed = prove(&["--list"]);
    assert_eq!(listed.code(), 0, "{listed:?}");
    let kinds: BTreeSet<&str> =
        listed.stdout.lines().filter_map(|line| line.split('.').next()).collect();
    assert_eq!(kinds, ["identity", "nvs", "region"].into());
    let only = [
        "nvs.vault.wifi_ssid.missing",
        "region.ota_0.other_version",
        "region.partition_table.more",
        "region.storage.320000.leftover",
    ];
    let only_these = only.iter().flat_map(|id| ["--only", id]);
    let words: Vec<&str> = ["--json"].into_iter().chain(only_these).collect();
    let proven = prove(&words);
    let proof = proven.json();
    assert_eq!(proven.code(), 0, "{proof:#}");
    assert_eq!(proof["subject"]["of"], "image");
    let caught = proof["kinds"].as_array().expect("kinds").iter();
    let caught: u64 = caught.filter_map(|kind| kind["counted"]["caught"].as_u64()).sum();
    assert_eq!(caught, only.len() as u64, "{proof:#}");
    assert!(site.processes().is_empty(), "nothing of them is left");
}
