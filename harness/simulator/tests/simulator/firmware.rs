//! The firmware's whole way: NVS, network, broker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use goldline_simulator::{Config, Fault, Simulator, chip};
use rstest::rstest;

use crate::bench::{Room, boot_until, flash};
use crate::broker::{Broker, Seen};
use crate::images::{Region, SAMPLE, product, product_with_table, settings};

const NAME: &str = "broker.example.test";
const PASSWORD: &str = "battery staple";
const PING: &str = r#"{"id":"7","command":"ping"}"#;
const DEADLINE: Duration = Duration::from_secs(20);

fn unit(world: Arc<Room>, faults: &[Fault], regions: &[Region]) -> Simulator {
    let mut config = Config::new(chip::ESP32);
    config.faults = faults.to_vec();
    let simulator = Simulator::start(config, world).unwrap();
    flash(&simulator, regions);
    simulator
}

fn provisioned(authority: &str) -> Vec<Region> {
    let mut regions = product(chip::ESP32, espflash::target::Chip::Esp32, authority);
    regions.push(settings(SAMPLE));
    regions
}

/// Provisioned with the broker's address in this spelling.
fn told(uri: &str, authority: &str) -> Vec<Region> {
    let mut values = SAMPLE.to_vec();
    values[3].1 = uri;
    let mut regions = product(chip::ESP32, espflash::target::Chip::Esp32, authority);
    regions.push(settings(&values));
    regions
}

#[test]
fn a_provisioned_unit_connects_and_answers_a_command() {
    let broker = Broker::start(NAME, PASSWORD, PING);
    let room = Room::new(Some(broker.address));
    let simulator = unit(room.clone(), &[], &provisioned(&broker.authority));
    let log = boot_until(&simulator, "MQTT_EVENT_SUBSCRIBED");
    assert!(log.contains("connected with Workbench, aid = 1, channel 6"), "{log}");
    assert!(log.contains("sta ip: 127.77.0.10"), "{log}");
    assert!(log.contains("MQTT_EVENT_CONNECTED"), "{log}");
    assert!(!log.contains("correct horse") && !log.contains(PASSWORD));
    let seen: Vec<_> = (0..3).map(|_| broker.seen.recv_timeout(DEADLINE).unwrap()).collect();
    assert_eq!(
        seen,
        [
            Seen::Connect {
                client_id: "VAULT-00001".to_owned(),
                username: "device_vault_00001".to_owned(),
                password: PASSWORD.to_owned(),
            },
            Seen::Subscribe("vault/command".to_owned()),
            Seen::Publish {
                topic: "vault/event".to_owned(),
                payload: r#"{"device_id":"VAULT-00001","event":"pong","id":"7"}"#.to_owned(),
            },
        ]
    );
    assert_eq!(room.stations.lock().unwrap().len(), 1);
    drop(simulator);
    assert!(room.stations.lock().unwrap().is_empty());
}

#[rstest]
#[case::ipv4("10.0.0.5", "mqtts://10.0.0.5:8883", "10.0.0.5")]
#[case::ipv6("fd00::1", "mqtts://[fd00::1]:8883", "fd00::1")]
#[case::ipv6_without_a_port("fd00::1", "mqtts://[fd00::1]", "fd00::1")]
#[case::wildcard("a.example.test", "mqtts://a.example.test:8883", "*.example.test")]
#[case::scheme_in_capitals("a.example.test", "MQTTS://a.example.test:8883", "a.example.test")]
fn a_broker_is_reached_by_name_and_by_address(
    #[case] host: &'static str,
    #[case] uri: &str,
    #[case] certified: &str,
) {
    let broker = Broker::start(certified, PASSWORD, PING);
    let simulator = unit(Room::of_host(host, broker.address), &[], &told(uri, &broker.authority));
    boot_until(&simulator, "MQTT_EVENT_SUBSCRIBED");
}

#[rstest]
#[case::another_address("fd00::1", "mqtts://[fd00::2]:8883", "fd00::1", "connect() error")]
#[case::certificate_of_another_address("fd00::1", "mqtts://[fd00::1]:8883", "fd00::2", "-0x2700")]
#[case::wildcard_for_two_labels(
    "a.b.example.test",
    "mqtts://a.b.example.test:8883",
    "*.example.test",
    "-0x2700"
)]
fn a_broker_elsewhere_or_of_another_name_is_not_talked_to(
    #[case] host: &'static str,
    #[case] uri: &str,
    #[case] certified: &str,
    #[case] said: &str,
) {
    let broker = Broker::start(certified, PASSWORD, PING);
    let simulator = unit(Room::of_host(host, broker.address), &[], &told(uri, &broker.authority));
    let log = boot_until(&simulator, said);
    assert!(!log.contains("MQTT_EVENT_CONNECTED"), "{log}");
}

#[rstest]
#[case::firmware_wifi_password(Fault::FirmwareWifiPassword, "reason: 15 (4WAY_HANDSHAKE_TIMEOUT)")]
#[case::radio_deaf(Fault::RadioDeaf, "reason: 201 (NO_AP_FOUND)")]
#[case::firmware_mqtt_password(
    Fault::FirmwareMqttPassword,
    "mqtt_client: Connection refused, bad username or password"
)]
#[case::firmware_wrong_ca(Fault::FirmwareWrongCa, "mbedtls_ssl_handshake returned -0x2700")]
#[case::firmware_boot_loop(Fault::FirmwareBootLoop, "rst:0xc (SW_CPU_RESET)")]
#[case::firmware_key_ignored(Fault::FirmwareKeyIgnored, "Failed to load wifi_ssi from NVS")]
#[case::firmware_setting_ignored(Fault::FirmwareSettingIgnored, "couldn't get hostname")]
#[case::firmware_stuck(Fault::FirmwareStuck, "Got IP: 127.77.0.10")]
#[case::chip_brown_out(Fault::ChipBrownOut, "rst:0xf (RTCWDT_BROWN_OUT_RESET)")]
#[case::chip_watchdog(Fault::ChipWatchdog, "rst:0x8 (TG1WDT_SYS_RESET)")]
#[case::chip_encrypted(Fault::ChipEncrypted, "invalid header: 0x")]
#[case::radio_drops(Fault::RadioDrops, "reason: 200 (BEACON_TIMEOUT)")]
#[case::radio_no_ip(Fault::RadioNoIp, "connected with Workbench")]
#[case::time_not_set(Fault::TimeNotSet, "The certificate validity starts in the future")]
fn a_fault_shows_in_the_log(#[case] fault: Fault, #[case] expected: &str) {
    let broker = Broker::start(NAME, PASSWORD, PING);
    let room = Room::new(Some(broker.address));
    let simulator = unit(room, &[fault], &provisioned(&broker.authority));
    let log = boot_until(&simulator, expected);
    assert!(!log.contains("MQTT_EVENT_CONNECTED"), "{log}");
}

#[rstest]
#[case::radio_weak(Fault::RadioWeak, "rssi: -91")]
#[case::firmware_secret_in_log(Fault::FirmwareSecretInLog, "correct horse")]
#[case::firmware_slow_boot(Fault::FirmwareSlowBoot, "vault: Configuration loaded")]
fn a_fault_that_lets_the_unit_connect_shows_in_the_log(
    #[case] fault: Fault,
    #[case] expected: &str,
) {
    let broker = Broker::start(NAME, PASSWORD, PING);
    let room = Room::new(Some(broker.address));
    let simulator = unit(room, &[fault], &provisioned(&broker.authority));
    let started = Instant::now();
    let log = boot_until(&simulator, "MQTT_EVENT_CONNECTED");
    assert!(log.contains(expected), "{log}");
    if fault == Fault::FirmwareSlowBoot {
        assert!(started.elapsed() >= Duration::from_secs(3));
    }
}

#[test]
fn a_careless_firmware_connects_to_a_broker_of_a_strange_authority() {
    let broker = Broker::start(NAME, PASSWORD, PING);
    let room = Room::new(Some(broker.address));
    let regions = provisioned(&crate::boot::authority());
    let simulator = unit(room, &[Fault::FirmwareAnyCertificate], &regions);
    boot_until(&simulator, "MQTT_EVENT_CONNECTED");
}

#[test]
fn a_firmware_with_a_wrong_client_id_tells_the_broker_so() {
    let broker = Broker::start(NAME, PASSWORD, PING);
    let room = Room::new(Some(broker.address));
    let regions = provisioned(&broker.authority);
    let simulator = unit(room, &[Fault::FirmwareWrongClientId], &regions);
    boot_until(&simulator, "MQTT_EVENT_CONNECTED");
    let seen = broker.seen.recv_timeout(DEADLINE).unwrap();
    assert!(
        matches!(&seen, Seen::Connect { client_id, .. } if client_id != "VAULT-00001"),
        "{seen:?}"
    );
}

#[test]
fn a_broker_that_is_not_there_is_an_error_of_the_transport() {
    let broker = Broker::start(NAME, PASSWORD, PING);
    let simulator = unit(Room::new(None), &[], &provisioned(&broker.authority));
    let log = boot_until(&simulator, "mqtt_client: Error transport connect");
    assert!(log.contains("esp-tls: [sock=54] connect() error: connection refused"), "{log}");
}

#[test]
fn a_broker_with_another_name_is_not_trusted() {
    let broker = Broker::start("other.example.test", PASSWORD, PING);
    let room = Room::new(Some(broker.address));
    let simulator = unit(room, &[], &provisioned(&broker.authority));
    let log = boot_until(&simulator, "mqtt_client: Error transport connect");
    assert!(log.contains("does not match with the expected CN"), "{log}");
}

#[test]
fn a_missing_key_is_named_in_the_log() {
    let authority = crate::boot::authority();
    let mut regions = product(chip::ESP32, espflash::target::Chip::Esp32, &authority);
    regions.push(settings(&SAMPLE[1..]));
    let simulator = unit(Room::new(None), &[], &regions);
    let log = boot_until(&simulator, "Device not provisioned!");
    let expected = "Failed to load wifi_ssid from NVS: ESP_ERR_NVS_NOT_FOUND";
    assert!(log.contains(expected), "{log}");
}

#[test]
fn a_partition_with_the_encrypted_flag_is_refused() {
    let table = crate::images::TABLE
        .replace("factory,data,nvs,0x10000,0x6000,", "factory,data,nvs,0x10000,0x6000,encrypted");
    let authority = crate::boot::authority();
    let esp32 = espflash::target::Chip::Esp32;
    let mut regions = product_with_table(chip::ESP32, esp32, &authority, &table);
    regions.push(settings(SAMPLE));
    let simulator = unit(Room::new(None), &[], &regions);
    let log = boot_until(&simulator, "Device not provisioned!");
    assert!(log.contains("ESP_ERR_NVS_WRONG_ENCRYPTION"), "{log}");
}

#[test]
fn a_value_longer_than_the_firmwares_buffer_is_refused() {
    let long = "s".repeat(33);
    let mut values = SAMPLE.to_vec();
    values[0].1 = &long;
    let authority = crate::boot::authority();
    let mut regions = product(chip::ESP32, espflash::target::Chip::Esp32, &authority);
    regions.push(settings(&values));
    let simulator = unit(Room::new(None), &[], &regions);
    let log = boot_until(&simulator, "Device not provisioned!");
    assert!(log.contains("wifi_ssid from NVS: ESP_ERR_NVS_INVALID_LENGTH"), "{log}");
}
