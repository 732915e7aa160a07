//! Runs of units in esp-emu's stand-in: the access point is the emulator's, the services are on the loopback of
//! this machine, and the flash comes back when the emulator ends in order.

use std::{
    fs,
    io::Read,
    net::{TcpListener, TcpStream, UdpSocket},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::{
    parts::{attempts, image},
    processes::{self, Process, wait_until},
};
use crate::end_to_end::program::{Ended, PROFILE, Station};

/// The base MAC of esp-emu's chips.
const MAC: &str = "24:0a:c4:00:00:01";

/// The program that stands in for esp-emu.
pub fn stand_in() -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_goldline")).with_file_name("examples");
    let program = built.join("esp_emu_stand_in");
    assert!(program.is_file(), "{} is not built: cargo build --examples", program.display());
    program
}

/// A station with espvault's images for an ESP32-C3 as files, and a profile that names them.
struct Site {
    station: Station,
    /// Holds the emulator under its own name.
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        Self::with(|profile| profile)
    }

    /// With another profile.
    fn with(edit: impl Fn(String) -> String) -> Self {
        let site = Self { station: Station::new(), folder: tempfile::tempdir().expect("a folder") };
        symlink(stand_in(), site.folder.path().join("esp-emu")).expect("a link");
        let flash = site.flash_of_a_unit();
        site.station.write("bootloader.bin", image(&flash, 0, 0x8000));
        site.station.write("app.bin", image(&flash, 0x2_0000, 0x1A_0000));
        let own = for_c3()
            .replace("name = \"espvault\"", "name = \"emulated\"")
            .replace("bootloader = \"esp-idf\"", "bootloader = \"bootloader.bin\"")
            .replace("app = { model = \"espvault\" }", "app = { file = \"app.bin\" }");
        site.station.write("emulated.toml", edit(own));
        site
    }

    /// What the simulator has in its flash when this station has provisioned it.
    fn flash_of_a_unit(&self) -> Vec<u8> {
        self.station.write("model.toml", for_c3());
        let unit = format!("simulator:?mac={MAC}&flash-file=unit.bin");
        let made = self.station.unit(["provision", "model.toml", "--device", &unit]);
        assert_eq!(made.code(), 0, "{made:?}");
        fs::read(self.station.path("unit.bin")).expect("a flash")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.station.unit_command([words, &["emulated.toml", "--json"]].concat());
        command.env("GOLDLINE_ESP_EMU", self.folder.path());
        command
    }

    fn run(&self, device: &str) -> Ended {
        Ended::of(&mut self.command(&["run", "--device", device]))
    }

    /// Puts a script in the emulator's place; `$EMULATOR` is the stand-in in it.
    fn replace_emulator(&self, script: &str) {
        let path = self.folder.path().join("esp-emu");
        fs::remove_file(&path).expect("it was a link");
        let script = format!("#!/bin/sh\nEMULATOR='{}'\n{script}\n", stand_in().display());
        fs::write(&path, script).expect("a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it may run");
    }

    /// The emulator's processes, the watcher of each included.
    fn processes(&self) -> Vec<Process> {
        processes::naming(self.folder.path())
    }

    /// Starts a run whose unit never connects, and waits until it has booted.
    fn start(&self) -> Child {
        let mut command = self.command(&["run", "--device", "esp-emu:"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child = child.expect("the program starts");
        wait_until("a unit that runs", || self.processes().iter().any(is_running));
        child
    }
}

/// Whether a process is an emulator with a flash, and no watcher.
fn is_running(process: &Process) -> bool {
    process.is("esp-emu", "--firmware")
}

/// The shipped profile for a chip that esp-emu has, with a broker at a port that nobody else has: all guests of
/// a machine find their services at one address.
fn for_c3() -> String {
    PROFILE.replace("model = \"esp32\"", "model = \"esp32c3\"")
}

fn with_a_port_of_its_own(profile: String) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("its address").port();
    profile.replace("mqtts://prod.broker.com:8883", &format!("mqtts://prod.broker.com:{port}"))
}

/// A broker that the bench does not answer for: the unit runs on without it.
fn silent(profile: String) -> String {
    let elsewhere = "value = \"mqtts://other.example.test:8883\"";
    with_a_port_of_its_own(profile.replace("value = \"{mqtt_broker}\"", elsewhere))
}

/// A guest asks for names at port 53 of this machine's loopback.
pub fn may_answer_names() -> bool {
    let may = UdpSocket::bind(("127.78.255.254", 53)).is_ok();
    if !may {
        eprintln!("skipped: this user must not listen at port 53");
    }
    may
}

fn code(ended: &Ended) -> (i32, Value) {
    (ended.code(), ended.json()["diagnosis"]["code"].clone())
}

#[test]
fn a_good_unit_joins_with_its_own_password_and_passes() {
    if !may_answer_names() {
        return;
    }
    let site = Site::with(with_a_port_of_its_own);
    let ended = site.run("esp-emu:");
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    assert_eq!(record["unit"]["mac"], MAC);
    assert_eq!(record["network"]["name"], "nat");
    assert_eq!(record["emulator"], "esp-emu 0.49.0 (a stand-in of Goldline's)");
    assert_eq!(attempts(&record, "boot"), 1);
    let checks = record["checks"].as_array().expect("checks");
    let join = checks.iter().find(|check| check["id"] == "wifi_join").expect("it joined");
    assert_eq!(join["outcome"], "pass", "{join:#}");
    let address = join["measurements"].as_array().expect("some");
    let address = address.iter().find(|one| one["name"] == "ip_address").expect("it has one");
    assert_eq!(address["value"], "192.168.4.2");
    assert!(site.processes().is_empty(), "nothing of it is left");
}

#[test]
fn a_unit_with_another_password_does_not_join() {
    if !may_answer_names() {
        return;
    }
    let site = Site::with(|profile| {
        with_a_port_of_its_own(
            profile.replace("value = \"{wifi_password}\"", "value = \"x{wifi_password}\""),
        )
    });
    let ended = site.run("esp-emu:");
    assert_eq!(code(&ended), (1, "wifi.wrong_password".into()), "{}", ended.stdout);
    // Nobody claims that the bench joined the emulator's own access point.
    let witness = "the emulator was given the name ProductionWiFi and the planned password";
    assert!(ended.stdout.contains(witness), "{}", ended.stdout);
}

/// Whoever else of the machine comes to the guest's port is turned away, and nothing of it is held for the unit.
#[test]
fn a_stranger_at_the_guests_port_is_not_the_guest() {
    if !may_answer_names() {
        return;
    }
    let site = Site::with(|profile| {
        with_a_port_of_its_own(
            profile.replace("value = \"{wifi_password}\"", "value = \"x{wifi_password}\""),
        )
    });
    let profile = fs::read_to_string(site.station.path("emulated.toml")).expect("it was written");
    let (_, port) = profile.split_once("mqtts://prod.broker.com:").expect("its broker");
    let port = port.split('"').next().expect("it ends").parse::<u16>().expect("a number");
    let mut command = site.command(&["run", "--device", "esp-emu:"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the program starts");
    let mut knocked = 0;
    while child.try_wait().expect("it is ours").is_none() {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
            knocked += 1;
            // Not a byte comes of it.
            assert!(!matches!(stream.read(&mut [0; 1]), Ok(1..)));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let ended = Ended::from(child.wait_with_output().expect("it ended"));
    assert!(knocked > 0, "the port was open for a while");
    assert_eq!(code(&ended), (1, "wifi.wrong_password".into()), "{}", ended.stdout);
    assert!(!ended.stdout.contains("192.168.4.2"), "nobody joined: {}", ended.stdout);
}

#[test]
fn a_unit_that_trusts_another_ca_does_not_connect() {
    if !may_answer_names() {
        return;
    }
    let site = Site::with(with_a_port_of_its_own);
    let mut command = site.command(&["run", "--device", "esp-emu:"]);
    let ended = Ended::of(command.env("GOLDLINE_STAND_IN_FAULT", "firmware.wrong_ca"));
    assert_eq!(code(&ended), (1, "mqtt.server_untrusted".into()), "{}", ended.stdout);
}

#[test]
fn a_unit_with_a_key_missing_fails_by_its_name() {
    if !may_answer_names() {
        return;
    }
    let key = "  { key = \"mqtt_broker\", encoding = \"string\", value = \"{mqtt_broker}\" },\n";
    let site = Site::with(|profile| with_a_port_of_its_own(profile.replace(key, "")));
    let ended = site.run("esp-emu:");
    assert_eq!(code(&ended), (1, "firmware.configuration".into()), "{}", ended.stdout);
    assert!(ended.json()["diagnosis"]["message"].to_string().contains("mqtt_broker"));
}

#[test]
fn a_unit_that_panics_fails() {
    if !may_answer_names() {
        return;
    }
    let site = Site::with(with_a_port_of_its_own);
    let mut command = site.command(&["run", "--device", "esp-emu:"]);
    let ended = Ended::of(command.env("GOLDLINE_STAND_IN_FAULT", "firmware.boot_loop"));
    assert_eq!(code(&ended), (1, "boot.loop".into()), "{}", ended.stdout);
}

#[test]
fn a_boot_that_hangs_is_tried_again_and_told() {
    if !may_answer_names() {
        return;
    }
    let site = Site::with(with_a_port_of_its_own);
    let hangs = site.station.write("hangs", "1");
    let mut command = site.command(&["run", "--device", "esp-emu:"]);
    let ended = Ended::of(command.env("GOLDLINE_STAND_IN_HANGS", hangs));
    let record = ended.json();
    assert_eq!((ended.code(), attempts(&record, "boot")), (0, 2), "{record:#}");
}

#[test]
fn what_a_unit_wrote_is_read_after_a_graceful_end() {
    if !may_answer_names() {
        return;
    }
    let site = Site::with(with_a_port_of_its_own);
    let device = "esp-emu:?flash-file=emulated.bin";
    assert_eq!(site.run(device).code(), 0);
    let flash = fs::read(site.station.path("emulated.bin")).expect("it is kept");
    let nvs = &flash[0x9000..0xF000];
    assert!(
        nvs.iter().any(|byte| *byte != 0xFF),
        "the firmware wrote its own NVS at its first boot"
    );
    let ended = Ended::of(&mut site.command(&["check", "--device", device]));
    assert_eq!(ended.code(), 0, "{ended:?}");
}

#[test]
fn the_place_of_its_installer_is_looked_at() {
    if !may_answer_names() {
        return;
    }
    let site = Site::with(with_a_port_of_its_own);
    let folder = site.station.path("home/.local/bin");
    fs::create_dir_all(&folder).expect("a folder");
    symlink(stand_in(), folder.join("esp-emu")).expect("a link");
    let mut command = site.command(&["run", "--device", "esp-emu:"]);
    let ended = Ended::of(command.env_remove("GOLDLINE_ESP_EMU"));
    assert_eq!(ended.code(), 0, "{ended:?}");
}

#[test]
fn a_network_that_its_access_point_cannot_be_is_refused() {
    if !may_answer_names() {
        return;
    }
    let hidden = Site::with(|profile| profile.replace("[wifi]\n", "[wifi]\nhidden = true\n"));
    let ended = hidden.run("esp-emu:");
    assert!(ended.code() == 2 && ended.said().contains("cannot hide its name"), "{ended:?}");
    let key = "0123456789abcdef".repeat(4);
    let by_key =
        Site::with(|profile| with_a_port_of_its_own(profile.replace("SecurePassword123", &key)));
    let ended = by_key.run("esp-emu:");
    assert_eq!(code(&ended), (3, "emulator.failed".into()), "{}", ended.stdout);
    assert!(ended.stdout.contains("has 64 characters") && !ended.stdout.contains(&key));
}

#[test]
fn an_emulator_that_writes_no_flash_back_says_nothing_of_the_unit() {
    if !may_answer_names() {
        return;
    }
    let site = Site::with(with_a_port_of_its_own);
    // Knows --save-state, and has forgotten it when it runs.
    site.replace_emulator(
        "for word; do shift; [ \"$word\" = --save-state ] || set -- \"$@\" \"$word\"; done\nexec \"$EMULATOR\" \"$@\"",
    );
    let ended = site.run("esp-emu:");
    assert_eq!(code(&ended), (3, "emulator.failed".into()), "{}", ended.stdout);
    let message = ended.json()["diagnosis"]["message"].to_string();
    assert!(message.contains("did not write the flash back"), "{message}");
}

#[test]
fn an_emulator_that_ends_at_once_says_why() {
    if !may_answer_names() {
        return;
    }
    let site = Site::with(with_a_port_of_its_own);
    site.replace_emulator(
        "case \"$*\" in *--firmware*) echo 'Error: no such ROM' >&2; exit 1;; esac\nexec \"$EMULATOR\" \"$@\"",
    );
    let ended = site.run("esp-emu:");
    assert_eq!(code(&ended), (3, "emulator.failed".into()), "{}", ended.stdout);
    let message = ended.json()["diagnosis"]["message"].to_string();
    assert!(message.contains("no such ROM"), "{message}");
}

#[test]
fn an_emulator_that_dies_says_nothing_of_the_unit() {
    if !may_answer_names() {
        return;
    }
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
    if !may_answer_names() {
        return;
    }
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
    let password = site.station.write("password", "another-secret-1");
    let given = format!("wifi_password=@{}", password.display());
    for (words, environment, part) in [
        (&["--device", "esp-emu:?chip=esp32"][..], None, "choose --device qemu: for it"),
        (&["--device", "esp-emu:?chip=esp32s2"], None, "esp-emu emulates no esp32s2"),
        (&["--device", "esp-emu:", "--network", "air"], None, "leave --network out"),
        (
            &["--device", "esp-emu:", "--device", "esp-emu:?efuse=e.bin"],
            None,
            "one after the other",
        ),
        (&["--device", "esp-emu:", "--fault", "firmware.wrong_ca"], None, "the simulator's"),
        (&["--device", "esp-emu:"], Some(nowhere.as_path()), "install Espressif's esp-emu"),
        (&["--device", "esp-emu:", "--set", &given], None, "nobody's secret"),
    ] {
        let mut command = site.command(&[&["run"], words].concat());
        if let Some(path) = environment {
            command.env("GOLDLINE_ESP_EMU", path);
        }
        let ended = Ended::of(&mut command);
        assert_eq!(ended.code(), 2, "{ended:?}");
        assert!(ended.said().contains(part), "{}", ended.said());
        assert!(!ended.said().contains("another-secret"), "{}", ended.said());
    }
    site.replace_emulator(
        "case \"$*\" in *--help*) \"$EMULATOR\" --help | grep -v save-state; exit;; esac\nexec \"$EMULATOR\" \"$@\"",
    );
    let ended = site.run("esp-emu:");
    assert!(ended.code() == 2 && ended.said().contains("knows no --save-state"), "{ended:?}");
    assert!(site.processes().is_empty(), "nothing was left");
}

#[test]
fn a_port_that_is_taken_is_no_fault_of_the_unit() {
    if !may_answer_names() {
        return;
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let site = Site::with(|profile| {
        let broker = format!("mqtts://prod.broker.com:{port}");
        profile.replace("mqtts://prod.broker.com:8883", &broker)
    });
    let ended = site.run("esp-emu:");
    assert_eq!(code(&ended), (3, "testbed.not_started".into()), "{}", ended.stdout);
    let message = ended.json()["diagnosis"]["message"].to_string();
    assert!(message.contains(&format!("127.0.0.1:{port}")), "{message}");
}
