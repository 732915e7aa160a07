//! A firmware with a certificate of its own, which lies in its NVS as PEM text and as DER blob.

use std::sync::Arc;
use std::time::Duration;

use esp_nvs::mem_flash::MemFlash;
use esp_nvs::{Key, Nvs};
use goldline_simulator::{Config, Simulator, chip};
use rstest::rstest;

use crate::bench::{Room, boot_until, flash};
use crate::broker::{Broker, Issued, Seen};
use crate::images::{NVS_OFFSET, NVS_SIZE, Region, SAMPLE, TABLE, product_of};

const FIRMWARE: &str = include_str!("../../../../fixtures/firmware/espvault-certificates.toml");
const NAME: &str = "broker.example.test";
const PASSWORD: &str = "battery staple";
const DEADLINE: Duration = Duration::from_secs(20);

/// What the factory writes; the certificate in each form that the guide knows.
fn settings(pem: &Issued, der: &Issued) -> Region {
    let mut nvs = Nvs::new(0, NVS_SIZE, MemFlash::new(NVS_SIZE / 0x1000)).unwrap();
    let space = Key::from_str("vault");
    let texts = [("client_cert", pem.pem.as_str()), ("client_key", &der.key_pem)];
    for (key, value) in SAMPLE.iter().copied().chain(texts) {
        nvs.set(&space, &Key::from_str(key), value).unwrap();
    }
    nvs.set(&space, &Key::from_str("client_cert_der"), der.der.as_slice()).unwrap();
    Region { offset: NVS_OFFSET, data: nvs.into_inner().into_inner() }
}

fn unit(firmware: &str, broker: &Broker, settings: Region) -> Simulator {
    let room: Arc<Room> = Room::new(Some(broker.address));
    let simulator = Simulator::start(Config::new(chip::ESP32), room).unwrap();
    let esp32 = espflash::target::Chip::Esp32;
    let mut regions = product_of(firmware, chip::ESP32, esp32, &broker.authority, TABLE);
    regions.push(settings);
    flash(&simulator, &regions);
    simulator
}

#[rstest]
#[case::der_blob("certificate_der")]
#[case::pem_text("certificate")]
fn a_unit_shows_the_certificate_that_lies_in_its_nvs(#[case] setting: &str) {
    let broker = Broker::demanding(NAME, PASSWORD, "{}");
    let issued = broker.issue("VAULT-00001");
    let firmware = FIRMWARE
        .replace("certificate = \"certificate_der\"", &format!("certificate = \"{setting}\""));
    let simulator = unit(&firmware, &broker, settings(&issued, &issued));
    let log = boot_until(&simulator, "MQTT_EVENT_CONNECTED");
    assert!(!log.contains("BEGIN"), "{log}");
    assert_eq!(broker.seen.recv_timeout(DEADLINE).unwrap(), Seen::Certificate(issued.der));
}

#[test]
fn a_unit_with_a_certificate_of_a_strange_authority_is_refused() {
    let broker = Broker::demanding(NAME, PASSWORD, "{}");
    let stranger = Broker::start(NAME, PASSWORD, "{}");
    let issued = stranger.issue("VAULT-00001");
    let simulator = unit(FIRMWARE, &broker, settings(&issued, &issued));
    let log = boot_until(&simulator, "MQTT_EVENT_DISCONNECTED");
    assert!(!log.contains("MQTT_EVENT_CONNECTED"), "{log}");
}

/// The firmware has the other certificate than its key: it must not connect without one.
#[test]
fn a_unit_whose_key_is_of_another_certificate_does_not_connect() {
    let broker = Broker::start(NAME, PASSWORD, "{}");
    let (issued, other) = (broker.issue("VAULT-00001"), broker.issue("VAULT-00001"));
    let firmware =
        FIRMWARE.replace("certificate = \"certificate_der\"", "certificate = \"certificate\"");
    let simulator = unit(&firmware, &broker, settings(&other, &issued));
    let log = boot_until(&simulator, "Failed to init MQTT client");
    assert!(!log.contains("MQTT_EVENT_CONNECTED"), "{log}");
}
