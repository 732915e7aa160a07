//! The zero-config firmware with a CA: its WiFi by AT commands, and by those of the other dialect.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use goldline_simulator::{Config, Mode, Simulator, chip};
use rstest::rstest;
use serialport::TTYPort;

use crate::bench::{Room, ask, flash, open, read_until};
use crate::broker::{Broker, Seen};
use crate::images::{product_of, settings_in};

const AT: &str = include_str!("../../../../fixtures/firmware/zeroconf-ca.toml");
const CONSOLE: &str = include_str!("../../../../fixtures/firmware/zeroconf-ca-console.toml");
const TABLE: &str = "\
nvs,data,nvs,0x9000,0x6000,
otadata,data,ota,0xf000,0x2000,
ota_0,app,ota_0,0x20000,0x180000,
provision,data,nvs,0x1A0000,0x10000,
";
const NAME: &str = "broker.example.test";
const UUID: &str = "04e4822c-719e-45b0-b360-7e2819faca53";
const PSK: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
/// Everything that a dialect could stumble over.
const SSID: &str = "Büro \"2\", \\x = 3";
const PASSPHRASE: &str = "correct  horse=\"battery\"";

fn unit(firmware: &str, broker: &Broker) -> (Simulator, TTYPort) {
    let room = Room {
        ssid: SSID,
        passphrase: PASSPHRASE,
        name: NAME,
        servers: BTreeMap::from([(8883, broker.address)]),
        stations: Mutex::default(),
    };
    let simulator = Simulator::start(Config::new(chip::ESP32), Arc::new(room)).unwrap();
    let esp32 = espflash::target::Chip::Esp32;
    let mut regions = product_of(firmware, chip::ESP32, esp32, &broker.authority, TABLE);
    let values = [
        ("uuid", UUID),
        ("psk", PSK),
        ("device_cert", "a certificate"),
        ("wifi_ssid", "Elsewhere"),
        ("wifi_password", "elsewhere"),
    ];
    regions.push(settings_in("deviceprovision", 0x1A_0000, 0x1_0000, &values));
    flash(&simulator, &regions);
    let mut port = open(simulator.port_path());
    simulator.lines().reset_into(Mode::Boot);
    read_until(&mut port, "reason: 201 (NO_AP_FOUND)");
    (simulator, port)
}

fn connect() -> Seen {
    let (client_id, username, password) = (UUID.to_owned(), UUID.to_owned(), PSK.to_owned());
    Seen::Connect { client_id, username, password }
}

fn next(broker: &Broker) -> Seen {
    broker.seen.recv_timeout(Duration::from_secs(20)).unwrap()
}

/// What is set by a command holds after the reset that ends the dialogue.
#[test]
fn at_commands_join_a_network_and_outlive_a_reboot() {
    let broker = Broker::start(NAME, PSK, "{}");
    let (_simulator, mut port) = unit(AT, &broker);
    ask(&mut port, &format!("AT+WIFI_SSID={SSID}"), "\r\nOK\r\n");
    ask(&mut port, &format!("AT+WIFI_PASSWORD={PASSPHRASE}"), "\r\nOK\r\n");
    ask(&mut port, "AT+WIFI_CONNECT", "WIFI CONNECTED\r\nWIFI GOT IP\r\nOK\r\n");
    assert_eq!(next(&broker), connect());
    // The first session may be told of before the reset, too.
    let log = ask(&mut port, "AT+REBOOT", "rst:0xc (SW_CPU_RESET)");
    assert!(log.contains("OK\r\n"), "{log}");
    let log = log + &read_until(&mut port, "MQTT_EVENT_CONNECTED");
    assert!(!log.contains(PASSPHRASE), "{log}");
    // The first session may have been reset before it subscribed.
    while next(&broker) != connect() {}
}

#[rstest]
#[case::unknown("AT+NOTHING")]
#[case::lowercase("at+wifi_connect")]
#[case::too_long("AT+WIFI_SSID=123456789012345678901234567890123")]
fn what_is_no_at_command_or_does_not_fit_is_an_error(#[case] line: &str) {
    let broker = Broker::start(NAME, PSK, "{}");
    let (_simulator, mut port) = unit(AT, &broker);
    let answer = ask(&mut port, line, "ERROR");
    assert!(!answer.contains("OK"), "{answer}");
}

#[test]
fn a_network_that_does_not_come_about_is_an_error() {
    let broker = Broker::start(NAME, PSK, "{}");
    let (_simulator, mut port) = unit(AT, &broker);
    ask(&mut port, "AT+WIFI_CONNECT", "WIFI DISCONNECT\r\nERROR\r\n");
}

#[test]
fn the_other_dialect_quotes_its_values_and_tells_whether_it_joined() {
    let broker = Broker::start(NAME, PSK, "{}");
    let (_simulator, mut port) = unit(CONSOLE, &broker);
    ask(&mut port, "wifi_status", "error: not connected");
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let line = format!("wifi_config -s \"{}\" -p \"{}\"", quoted(SSID), quoted(PASSPHRASE));
    ask(&mut port, &line, "\r\nOK\r\n");
    ask(&mut port, "wifi_status", "error: not connected");
    ask(&mut port, "wifi_enable -e", "\r\nOK\r\n");
    ask(&mut port, "wifi_status", &format!("wifi: connected to {SSID}"));
    // It may have connected before, too.
    ask(&mut port, "restart", "rst:0xc (SW_CPU_RESET)");
    read_until(&mut port, "MQTT_EVENT_CONNECTED");
}

#[rstest]
#[case::option_missing("wifi_config -s net")]
#[case::twice("wifi_config -s net -s net")]
#[case::value_missing("wifi_config -s net -p")]
fn options_that_are_not_whole_get_the_usage(#[case] line: &str) {
    let broker = Broker::start(NAME, PSK, "{}");
    let (_simulator, mut port) = unit(CONSOLE, &broker);
    ask(&mut port, line, "error: wifi_config -s <ssid> -p <password>");
}
