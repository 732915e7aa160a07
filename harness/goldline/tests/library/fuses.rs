//! The two tables of fuses against each other: where espflash reads each, and where the simulated chip has it.

use std::sync::Arc;

use goldline::{
    device::{Device, Fuses, SimulatedUnit, SimulatorOptions, open_simulator},
    profile::Chip,
};
use goldline_simulator::{Burnt, world::Silence};
use rstest::rstest;

/// Where these are burnt, nobody can ask for any.
const LOCKS: [&str; 3] = ["DIS_DOWNLOAD_MODE", "UART_DOWNLOAD_DIS", "ENABLE_SECURITY_DOWNLOAD"];

fn fuses(chip: Chip, burnt: Option<&str>) -> Fuses {
    let burnt = burnt.map(|name| Burnt { name: name.to_owned(), bits: 1 });
    let options = SimulatorOptions { burnt: Vec::from_iter(burnt), ..SimulatorOptions::default() };
    let unit = SimulatedUnit {
        chip,
        flash_size: 4 << 20,
        options,
        hmac_key: None,
        tampering: None,
        faults: Vec::new(),
        seed: 0,
    };
    let mut device: Box<dyn Device> = open_simulator(unit, Arc::new(Silence)).expect("a unit");
    device.identify().expect("it answers");
    device.read_fuses().expect("it answers").expect("they are known")
}

#[rstest]
#[case(Chip::Esp32)]
#[case(Chip::Esp32S2)]
#[case(Chip::Esp32S3)]
#[case(Chip::Esp32C2)]
#[case(Chip::Esp32C3)]
#[case(Chip::Esp32C6)]
#[case(Chip::Esp32H2)]
fn each_fuse_is_read_where_the_chip_has_it(#[case] chip: Chip) {
    let blank = fuses(chip, None);
    assert!(blank.iter().count() > 9, "{blank:?}");
    assert!(blank.iter().all(|(_, bits)| bits == 0), "{blank:?}");
    for (name, _) in blank.iter().filter(|(name, _)| !LOCKS.contains(name)) {
        let read = fuses(chip, Some(name));
        let burnt: Vec<(&str, u32)> = read.iter().filter(|(_, bits)| *bits != 0).collect();
        assert_eq!(burnt, [(name, 1)], "{chip}");
    }
}
