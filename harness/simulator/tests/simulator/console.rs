//! SafeSignal's firmware: provisioned over its serial console, and emptied again.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use goldline_simulator::{Config, Fault, Mode, Simulator, chip};
use rstest::rstest;
use serialport::TTYPort;
use tempfile::TempDir;

use crate::bench::{Room, ask, flash, open, read_until};
use crate::broker::{Broker, Seen};
use crate::images::product_of;

pub const FIRMWARE: &str = include_str!("../../../../fixtures/firmware/safesignal.toml");
pub const TABLE: &str = "\
nvs,data,nvs,0x9000,0x6000,
otadata,data,ota,0xf000,0x2000,
ota_0,app,ota_0,0x20000,0x180000,
";
const NAME: &str = "broker.example.test";
const BROKER_PASSWORD: &str = "built-into-the-firmware";
const PASSPHRASE: &str = "swordfish-0815";
const SET_WIFI: &str = "provision_set_wifi Workbench swordfish-0815";
const SET_DEVICE: &str = "provision_set_device esp32-prod-001 tenant-a building-a room-1";
const WIFI_SAVED: &str = "WiFi credentials saved: SSID='Workbench'";
const DEVICE_SAVED: &str = "Device configuration saved";
const COMPLETE: &str = "Device Provisioning Complete!";
const UNPROVISIONED: &str = "[WIFI] Please provision device with credentials.";
const TOPIC: &str = "safesignal/tenant-a/building-a/room-1/esp32-prod-001";
const ALERT: &str = r#"{"id":"7","command":"test_alert"}"#;
const DEADLINE: Duration = Duration::from_secs(20);

/// A unit with blank NVS whose firmware runs, and the port of whoever sits before it.
struct Desk {
    port: TTYPort,
    simulator: Option<Simulator>,
    room: Arc<Room>,
    folder: TempDir,
}

impl Desk {
    fn new(broker: Option<&Broker>, faults: &[Fault]) -> Self {
        let authority = broker.map_or_else(crate::boot::authority, |it| it.authority.clone());
        let mut room = Arc::into_inner(Room::new(broker.map(|it| it.address))).unwrap();
        room.passphrase = PASSPHRASE;
        let room = Arc::new(room);
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new(chip::ESP32);
        config.faults = faults.to_vec();
        config.flash_file = Some(folder.path().join("flash.bin"));
        let simulator = Simulator::start(config, room.clone()).unwrap();
        let esp32 = espflash::target::Chip::Esp32;
        flash(&simulator, &product_of(FIRMWARE, chip::ESP32, esp32, &authority, TABLE));
        let port = open(simulator.port_path());
        let mut desk = Self { port, simulator: Some(simulator), room, folder };
        let log = desk.reset(UNPROVISIONED);
        assert!(log.contains("[PROVISION] Provisioning system initialized\r\n"), "{log}");
        assert!(log.contains("[WIFI] Device not provisioned! Cannot connect to WiFi.\r\n"));
        desk
    }

    fn ask(&mut self, line: &str, until: &str) -> String {
        ask(&mut self.port, line, until)
    }

    fn reset(&mut self, until: &str) -> String {
        self.simulator.as_ref().unwrap().lines().reset_into(Mode::Boot);
        read_until(&mut self.port, until)
    }

    fn provision(&mut self) {
        self.ask(SET_WIFI, WIFI_SAVED);
        self.ask(SET_DEVICE, DEVICE_SAVED);
        self.ask("provision_complete", COMPLETE);
    }

    /// What lies in flash, erased entries included, once the unit is switched off.
    fn flash_holds(mut self, text: &str) -> bool {
        self.simulator = None;
        let file: PathBuf = self.folder.path().join("flash.bin");
        let bytes = fs::read(file).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    }
}

/// Fails unless the texts stand in this order.
fn assert_order(log: &str, texts: &[&str]) {
    let mut rest = log;
    for text in texts {
        let at = rest.find(text).unwrap_or_else(|| panic!("{text:?} is missing in:\n{log}"));
        rest = &rest[at + text.len()..];
    }
}

#[test]
fn a_unit_that_was_provisioned_over_its_console_connects_after_a_reset() {
    let broker = Broker::start(NAME, BROKER_PASSWORD, ALERT);
    let mut desk = Desk::new(Some(&broker), &[]);
    assert!(desk.room.stations.lock().unwrap().is_empty(), "a blank unit joins nothing");
    desk.provision();
    let status = desk.ask("provision_status", "Room:      room-1");
    assert_order(&status, &["Provisioned: yes", "Workbench", "esp32-prod-001", "tenant-a"]);
    let log = desk.reset("Answered test_alert");
    let expected = [
        "[PROVISION] Provisioning system initialized\r\n",
        "[WIFI] Loading credentials from NVS...\r\n",
        "[WIFI] Credentials loaded: SSID='Workbench'\r\n",
        "[WIFI] Connecting to 'Workbench'...\r\n",
        "[WIFI] Connected to AP\r\n",
        "[WIFI] Got IP address: 127.77.0.10\r\n",
        "[MQTT] Connecting to broker...\r\n",
        "[MQTT] Connected to broker\r\n",
    ];
    assert_order(&log, &expected);
    assert!(!log.contains(PASSPHRASE) && !log.contains(BROKER_PASSWORD), "{log}");
    let alert = r#"{"building_id":"building-a","device_id":"esp32-prod-001","event":"test_alert","room_id":"room-1","tenant_id":"tenant-a"}"#;
    let alert = || Seen::Publish { topic: format!("{TOPIC}/alert"), payload: alert.to_owned() };
    let expected = [
        Seen::Connect {
            client_id: "esp32-prod-001".to_owned(),
            username: "safesignal".to_owned(),
            password: BROKER_PASSWORD.to_owned(),
        },
        Seen::Subscribe(format!("{TOPIC}/command")),
        alert(),
        Seen::Publish {
            topic: format!("{TOPIC}/event"),
            payload: r#"{"device_id":"esp32-prod-001","event":"alert_sent","id":"7"}"#.to_owned(),
        },
    ];
    for seen in expected {
        assert_eq!(broker.seen.recv_timeout(DEADLINE).unwrap(), seen);
    }
    desk.ask("test_alert", "Test alert requested");
    assert_eq!(broker.seen.recv_timeout(DEADLINE).unwrap(), alert());
}

#[rstest]
#[case::command("provision_reset --confirm")]
#[case::other_spelling("provision clear")]
fn a_factory_reset_leaves_no_credential_in_flash(#[case] command: &str) {
    let mut desk = Desk::new(None, &[]);
    desk.provision();
    desk.ask(command, UNPROVISIONED);
    desk.ask("provision_status", "Device not provisioned!");
    assert!(!desk.flash_holds(PASSPHRASE));
}

/// Otherwise the test above would pass for a firmware that stores nothing.
#[test]
fn a_provisioned_unit_has_its_credential_in_flash() {
    let mut desk = Desk::new(None, &[]);
    desk.provision();
    assert!(desk.flash_holds(PASSPHRASE));
}

#[test]
fn a_careless_factory_reset_leaves_the_credential_in_erased_entries() {
    let mut desk = Desk::new(None, &[Fault::FirmwareResetLeavesCredentials]);
    desk.provision();
    desk.ask("provision_reset --confirm", UNPROVISIONED);
    desk.ask("provision_status", "Device not provisioned!");
    assert!(desk.flash_holds(PASSPHRASE));
}

#[test]
fn a_reset_that_is_not_confirmed_resets_nothing() {
    let mut desk = Desk::new(None, &[]);
    desk.provision();
    desk.ask("provision_reset", "Usage: provision_reset --confirm");
    desk.ask("provision_status", "Provisioned: yes");
}

#[test]
fn a_unit_can_be_provisioned_again_after_a_factory_reset() {
    let broker = Broker::start(NAME, BROKER_PASSWORD, ALERT);
    let mut desk = Desk::new(Some(&broker), &[]);
    desk.provision();
    desk.ask("provision_reset --confirm", UNPROVISIONED);
    desk.provision();
    desk.reset("[MQTT] Connected to broker");
}

#[test]
fn nothing_is_complete_without_wifi_and_device() {
    let mut desk = Desk::new(None, &[]);
    desk.ask(SET_WIFI, WIFI_SAVED);
    desk.ask("provision_complete", "credentials or device configuration missing");
    desk.reset(UNPROVISIONED);
}

/// What does not fit is refused whole: nothing of the command is stored.
#[rstest]
#[case::ssid(format!("provision_set_wifi {} secret-12", "s".repeat(32)))]
#[case::ssid_in_bytes(format!("provision_set_wifi {} secret-12", "ü".repeat(16)))]
#[case::passphrase(format!("provision_set_wifi Workbench {}", "p".repeat(64)))]
#[case::device(format!("provision_set_device {} a b c", "d".repeat(32)))]
#[case::room(format!("provision_set_device d a b {}", "r".repeat(16)))]
fn a_value_that_does_not_fit_is_an_error(#[case] line: String) {
    let mut desk = Desk::new(None, &[]);
    let answer = desk.ask(&line, "ESP_ERR_NVS_INVALID_LENGTH");
    assert!(answer.contains("Failed: "), "{answer}");
    desk.ask("provision_get", "Device not provisioned!");
    let words = line.split(' ').skip(1);
    let longest = words.max_by_key(|word| word.len()).unwrap();
    assert!(!desk.flash_holds(longest));
}

#[rstest]
#[case::missing("provision_set_wifi Workbench")]
#[case::a_space_splits("provision_set_wifi My Network secret-12")]
#[case::quotes_hold_nothing_together("provision_set_wifi \"My Network\" secret-12")]
fn wrong_words_get_the_usage(#[case] line: &str) {
    let mut desk = Desk::new(None, &[]);
    desk.ask(line, "Usage: provision_set_wifi <ssid> <password>");
}

#[test]
fn a_line_that_is_too_long_runs_no_command() {
    let mut desk = Desk::new(None, &[]);
    let line = format!("provision_set_wifi Workbench {}", "p".repeat(2000));
    desk.ask(&line, "Failed: line too long");
    let answer = desk.ask("no_such_command", "Unrecognized command");
    assert!(!answer.contains("saved"), "{answer}");
}

#[test]
fn a_value_with_braces_is_no_template() {
    let mut desk = Desk::new(None, &[]);
    desk.ask("provision_set_wifi {passphrase} swordfish-0815", "SSID='{passphrase}'");
}

#[test]
fn unicode_arrives_as_it_was_typed() {
    let mut desk = Desk::new(None, &[]);
    desk.ask("provision_set_wifi Büro'2\\x swordfish-0815", "saved: SSID='Büro'2\\x'");
    assert!(desk.flash_holds("Büro'2\\x"));
}

#[test]
fn certificates_are_pasted_and_never_echoed() {
    let broker = Broker::demanding(NAME, BROKER_PASSWORD, ALERT);
    let issued = broker.issue("esp32-prod-001");
    let mut desk = Desk::new(Some(&broker), &[]);
    desk.ask("provision_cert_status", "Client key: none");
    for (kind, pem, saved) in [
        ("ca", &broker.authority, "CA certificate saved"),
        ("client", &issued.pem, "Client certificate saved"),
        ("key", &issued.key_pem, "Client key saved"),
    ] {
        desk.ask(&format!("provision_set_cert {kind}"), "Paste the PEM text");
        let answer = desk.ask(pem, saved);
        assert!(!answer.contains("BEGIN"), "{answer}");
    }
    let status = desk.ask("provision_cert_status", "Client key: stored");
    assert_order(&status, &["CA certificate: stored", "Client certificate: stored"]);
    desk.provision();
    desk.reset("[MQTT] Connected to broker");
    assert_eq!(broker.seen.recv_timeout(DEADLINE).unwrap(), Seen::Certificate(issued.der));
}

#[rstest]
#[case::no_pem("hello", "Failed: key: not PEM text")]
#[case::broken(
    "-----BEGIN CERTIFICATE-----\r\n###\r\n-----END CERTIFICATE-----",
    "Failed: key: not PEM text"
)]
fn what_is_no_pem_text_is_not_stored(#[case] text: &str, #[case] expected: &str) {
    let mut desk = Desk::new(None, &[]);
    desk.ask("provision_set_cert key", "Paste the PEM text");
    desk.ask(text, expected);
    desk.ask("provision_cert_status", "Client key: none");
}

#[test]
fn a_pem_text_that_does_not_fit_is_read_to_its_end_and_refused() {
    let mut desk = Desk::new(None, &[]);
    desk.ask("provision_set_cert client", "Paste the PEM text");
    let body = "provision_reset --confirm\r\n".repeat(300);
    let text = format!("-----BEGIN CERTIFICATE-----\r\n{body}-----END CERTIFICATE-----");
    let answer = desk.ask(&text, "Failed: certificate: ESP_ERR_NVS_INVALID_LENGTH");
    assert!(!answer.contains("Factory reset"), "{answer}");
}

#[rstest]
#[case::unknown("provision_set_cert other")]
#[case::nothing("provision_set_cert")]
fn a_certificate_of_no_known_kind_gets_the_usage(#[case] line: &str) {
    Desk::new(None, &[]).ask(line, "Usage: provision_set_cert ca|client|key");
}

/// The second line is echoed only when the first one is done with.
#[test]
fn a_silent_console_obeys_and_says_nothing() {
    let mut desk = Desk::new(None, &[Fault::FirmwareConsoleSilent]);
    desk.ask(SET_WIFI, SET_WIFI);
    let answer = desk.ask(SET_DEVICE, SET_DEVICE);
    assert!(!answer.contains("saved"), "{answer}");
    let answer = desk.ask("provision_complete", "provision_complete\r\n");
    assert!(!answer.contains("saved"), "{answer}");
    desk.reset("[WIFI] Got IP address");
}

#[test]
fn a_late_console_answers_seconds_later() {
    let mut desk = Desk::new(None, &[Fault::FirmwareConsoleLate]);
    let started = Instant::now();
    desk.ask(SET_WIFI, WIFI_SAVED);
    assert!(started.elapsed() >= Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn a_garbled_console_obeys_and_answers_with_other_bytes() {
    let mut desk = Desk::new(None, &[Fault::FirmwareConsoleGarbled]);
    // An answer is over when the next line comes back.
    let saved = desk.ask(SET_WIFI, "#") + &desk.ask("provision_get", "provision_get");
    let answer = desk.ask("provision_get", "provision_get");
    for (answer, words) in [(saved, WIFI_SAVED), (answer, "Device not provisioned")] {
        assert!(answer.contains('#') && !answer.contains(words), "{answer}");
    }
}

#[test]
fn an_interleaved_console_has_log_lines_within_its_answers() {
    let mut desk = Desk::new(None, &[Fault::FirmwareConsoleInterleaved]);
    let answer = desk.ask(SET_WIFI, "='Workbench'");
    assert!(!answer.contains(WIFI_SAVED), "{answer}");
    assert_order(&answer, &["[PROVISION] ", "wifi: scan in progress", "='Workbench'"]);
}

#[test]
fn a_firmware_that_saves_nothing_says_that_it_did() {
    let mut desk = Desk::new(None, &[Fault::FirmwareSaveFailed]);
    desk.provision();
    desk.reset(UNPROVISIONED);
    assert!(!desk.flash_holds(PASSPHRASE));
}
