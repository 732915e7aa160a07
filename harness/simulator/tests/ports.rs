//! Another process of the machine must find no way to act as the unit: a running unit listens nowhere.
//!
//! A test binary of its own, since other tests of one process listen too.
#![cfg(target_os = "linux")]

#[path = "simulator/bench.rs"]
#[expect(dead_code, reason = "shared with the other tests, which use all of it")]
mod bench;
#[path = "simulator/broker.rs"]
#[expect(dead_code, reason = "shared with the other tests, which use all of it")]
mod broker;
#[path = "simulator/images.rs"]
#[expect(dead_code, reason = "shared with the other tests, which use all of it")]
mod images;

use std::collections::HashSet;
use std::fs;

use goldline_simulator::{Config, Simulator, chip};

use bench::{Room, boot_until, flash};
use broker::Broker;
use images::{SAMPLE, product, settings};

#[test]
fn a_unit_that_talks_to_its_broker_opens_no_port_of_the_machine() {
    let ping = r#"{"id":"7","command":"ping"}"#;
    let broker = Broker::start("broker.example.test", "battery staple", ping);
    let room = Room::new(Some(broker.address));
    let simulator = Simulator::start(Config::new(chip::ESP32), room).unwrap();
    let mut regions = product(chip::ESP32, espflash::target::Chip::Esp32, &broker.authority);
    regions.push(settings(SAMPLE));
    flash(&simulator, &regions);
    boot_until(&simulator, "Answered ping");
    assert_eq!(listening_ports(), HashSet::from([broker.address.port()]));
}

/// Ports on which this process listens, from the kernel's own tables.
fn listening_ports() -> HashSet<u16> {
    let own: HashSet<String> = fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|target| {
            let target = target.to_string_lossy().into_owned();
            Some(target.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect();
    ["/proc/self/net/tcp", "/proc/self/net/tcp6"]
        .into_iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| table.lines().skip(1).map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let is_listening = *fields.get(3)? == "0A" && own.contains(*fields.get(9)?);
            let port = fields.get(1)?.rsplit(':').next()?;
            is_listening.then(|| u16::from_str_radix(port, 16).ok())?
        })
        .collect()
}
