//! The zero-config firmware: its limits, its call to the CA service, its broker.

use std::sync::Arc;
use std::time::Duration;

use goldline_simulator::{Config, Fault, Simulator, chip};
use rstest::rstest;

use crate::bench::{Room, boot_until, flash};
use crate::broker::{Broker, Seen};
use crate::images::{product_of, settings_in};
use crate::web::{Request, Web};

const FIRMWARE: &str = include_str!("../../../../fixtures/firmware/zeroconf.toml");
const TABLE: &str = "\
nvs,data,nvs,0x9000,0x10000,
otadata,data,ota,0x19000,0x2000,
ota_0,app,ota_0,0x20000,0x180000,
ota_1,app,ota_1,0x1A0000,0x180000,
";
const NAME: &str = "broker.example.test";
const UUID: &str = "110e3dc9-fa05-568f-a05a-98d00891029d";
const PSK: &str = "00112233445566778899aabbccddeeff";
const SUCCESS: &str = r#"{"success":true}"#;
const REGISTERED: &str = "Registered at CA service";
const GIVEN_UP: &str = "Registration at CA service failed";
const DEADLINE: Duration = Duration::from_secs(20);

fn values<'a>(url: &'a str, ssid: &'a str) -> [(&'static str, &'a str); 5] {
    [
        ("global_uuid", UUID),
        ("psk_secret", PSK),
        ("ca_service_url", url),
        ("wifi_ssid", ssid),
        ("wifi_password", "correct horse"),
    ]
}

fn unit(room: Arc<Room>, faults: &[Fault], authority: &str, url: &str, ssid: &str) -> Simulator {
    let mut config = Config::new(chip::ESP32);
    config.faults = faults.to_vec();
    let simulator = Simulator::start(config, room).unwrap();
    let esp32 = espflash::target::Chip::Esp32;
    let mut regions = product_of(FIRMWARE, chip::ESP32, esp32, authority, TABLE);
    regions.push(settings_in("zc", 0x9000, 0x10000, &values(url, ssid)));
    flash(&simulator, &regions);
    simulator
}

fn call_with(psk: &str) -> Request {
    Request {
        line: "POST /api/devices/register HTTP/1.1".to_owned(),
        body: format!(
            r#"{{"mac":"240AC4000110","psk":"{psk}","type":"zero-config","uuid":"{UUID}"}}"#
        ),
    }
}

#[rstest]
#[case::https(true, "https://broker.example.test:8443/")]
#[case::http(false, "http://broker.example.test:8443")]
fn a_unit_calls_its_ca_service_and_then_its_broker(#[case] tls: bool, #[case] url: &str) {
    let broker = Broker::start(NAME, PSK, "{}");
    let web = Web::start(tls.then(|| broker.tls.clone()), 200, SUCCESS);
    let room = Room::with_servers(Some(broker.address), &[(8443, web.address)]);
    let simulator = unit(room, &[], &broker.authority, url, "Workbench");
    let log = boot_until(&simulator, "MQTT_EVENT_SUBSCRIBED");
    assert!(log.contains(REGISTERED) && !log.contains(PSK), "{log}");
    assert_eq!(web.seen.recv_timeout(DEADLINE).unwrap(), call_with(PSK));
    let connect = Seen::Connect {
        client_id: UUID.to_owned(),
        username: UUID.to_owned(),
        password: PSK.to_owned(),
    };
    assert_eq!(broker.seen.recv_timeout(DEADLINE).unwrap(), connect);
    let subscribed = Seen::Subscribe(format!("zc/{UUID}/command"));
    assert_eq!(broker.seen.recv_timeout(DEADLINE).unwrap(), subscribed);
}

#[rstest]
#[case::refused(200, r#"{"success":false}"#, "success is false")]
#[case::malformed(200, "no JSON", "not JSON with success")]
#[case::broken_service(500, SUCCESS, "HTTP status 500")]
fn a_service_that_does_not_agree_is_asked_three_times(
    #[case] status: u16,
    #[case] body: &'static str,
    #[case] expected: &str,
) {
    let broker = Broker::start(NAME, PSK, "{}");
    let web = Web::start(None, status, body);
    let room = Room::with_servers(None, &[(8443, web.address)]);
    let url = "http://broker.example.test:8443";
    let simulator = unit(room, &[], &broker.authority, url, "Workbench");
    let log = boot_until(&simulator, GIVEN_UP);
    assert_eq!(log.matches(expected).count(), 3, "{log}");
    assert!(!log.contains(REGISTERED), "{log}");
}

#[rstest]
#[case::another_ca(&[Fault::FirmwareWrongCa], 8443, "TLS handshake failed")]
#[case::clock_not_set(&[Fault::TimeNotSet], 8443, "starts in the future")]
#[case::nobody_listens(&[], 8444, "connect() error")]
fn a_service_that_cannot_be_trusted_or_reached_is_not_called(
    #[case] faults: &[Fault],
    #[case] port: u16,
    #[case] expected: &str,
) {
    let broker = Broker::start(NAME, PSK, "{}");
    let web = Web::start(Some(broker.tls.clone()), 200, SUCCESS);
    let room = Room::with_servers(None, &[(8443, web.address)]);
    let url = format!("https://broker.example.test:{port}");
    let simulator = unit(room, faults, &broker.authority, &url, "Workbench");
    let log = boot_until(&simulator, GIVEN_UP);
    assert!(log.contains(expected), "{log}");
    assert!(web.seen.try_recv().is_err());
}

#[test]
fn a_firmware_that_believes_anybody_calls_a_stranger() {
    let broker = Broker::start(NAME, PSK, "{}");
    let web = Web::start(Some(broker.tls.clone()), 200, SUCCESS);
    let room = Room::with_servers(None, &[(8443, web.address)]);
    let faults = [Fault::FirmwareWrongCa, Fault::FirmwareAnyCertificate];
    let url = "https://broker.example.test:8443";
    let simulator = unit(room, &faults, &broker.authority, url, "Workbench");
    boot_until(&simulator, REGISTERED);
    assert_eq!(web.seen.recv_timeout(DEADLINE).unwrap(), call_with(PSK));
}

#[test]
fn a_missing_call_and_a_call_with_another_key_are_what_the_service_sees() {
    let broker = Broker::start(NAME, PSK, "{}");
    let web = Web::start(None, 200, SUCCESS);
    let room = Room::with_servers(Some(broker.address), &[(8443, web.address)]);
    let url = "http://broker.example.test:8443";
    let missing = [Fault::FirmwareCaCallMissing];
    let simulator = unit(room.clone(), &missing, &broker.authority, url, "Workbench");
    let log = boot_until(&simulator, "MQTT_EVENT_CONNECTED");
    assert!(!log.contains("Registering") && web.seen.try_recv().is_err(), "{log}");
    drop(simulator);
    let wrong = [Fault::FirmwareCaCallWrongPsk];
    let simulator = unit(room, &wrong, &broker.authority, url, "Workbench");
    boot_until(&simulator, "MQTT_EVENT_CONNECTED");
    let other: String = PSK.chars().map(|digit| if digit == '0' { '1' } else { '0' }).collect();
    assert_eq!(web.seen.recv_timeout(DEADLINE).unwrap(), call_with(&other));
}

#[test]
fn a_leading_zero_that_the_firmware_drops_is_missing_in_its_call() {
    let broker = Broker::start(NAME, PSK, "{}");
    let web = Web::start(None, 200, SUCCESS);
    let room = Room::with_servers(None, &[(8443, web.address)]);
    let url = "http://broker.example.test:8443";
    let faults = [Fault::FirmwareIdDropsZeros];
    let simulator = unit(room, &faults, &broker.authority, url, "Workbench");
    boot_until(&simulator, REGISTERED);
    let seen = web.seen.recv_timeout(DEADLINE).unwrap();
    assert!(seen.body.contains(r#""mac":"24AC40110""#), "{seen:?}");
}

#[test]
fn a_network_name_of_32_bytes_does_not_fit_the_buffer() {
    let authority = crate::boot::authority();
    let ssid = "s".repeat(32);
    let simulator = unit(Room::new(None), &[], &authority, "http://x.example.test", &ssid);
    let log = boot_until(&simulator, "Device not provisioned!");
    assert!(log.contains("wifi_ssid from NVS: ESP_ERR_NVS_INVALID_LENGTH"), "{log}");
}
