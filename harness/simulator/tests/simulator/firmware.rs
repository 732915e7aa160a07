//! The firmware's whole way: NVS, network, broker.

use goldline_simulator::{Config, Simulator, chip};

use crate::bench::{Room, boot_until, flash};
use crate::boot::authority;
use crate::images::{SAMPLE, product, settings};

#[test]
fn a_missing_key_is_named_in_the_log() {
    let simulator = Simulator::start(Config::new(chip::ESP32), Room::new(None)).unwrap();
    let mut regions = product(chip::ESP32, espflash::target::Chip::Esp32, &authority());
    regions.push(settings(&SAMPLE[1..]));
    flash(&simulator, &regions);
    let log = boot_until(&simulator, "Device not provisioned!");
    let expected = "Failed to load wifi_ssid from NVS: ESP_ERR_NVS_NOT_FOUND";
    assert!(log.contains(expected), "{log}");
}

#[test]
fn a_provisioned_unit_joins_its_network() {
    let simulator = Simulator::start(Config::new(chip::ESP32), Room::new(None)).unwrap();
    let mut regions = product(chip::ESP32, espflash::target::Chip::Esp32, &authority());
    regions.push(settings(SAMPLE));
    flash(&simulator, &regions);
    let log = boot_until(&simulator, "Error transport connect");
    assert!(
        log.contains("connected with Workbench, aid = 1, channel 6"),
        "{log}"
    );
    assert!(log.contains("sta ip: 127.77.0.10"), "{log}");
    assert!(!log.contains("correct horse") && !log.contains("battery staple"));
}
