//! Images that a product brings as files: a sound one runs, and what the unit could not run is refused
//! before a number is leased or a byte is written.

use std::fs;

use super::program::{PROFILE, Station};

const DEVICE: &str = "simulator:?flash-file=unit.flash";
const BOOTLOADER: std::ops::Range<usize> = 0x1000..0x8000;
const APP: std::ops::Range<usize> = 0x2_0000..0x1A_0000;

/// A station with the product's images as files, as a unit of it holds them, and padded as they lie there.
fn with_files() -> (Station, Vec<u8>) {
    let station = Station::new();
    let ended = station.unit(["provision", "--device", DEVICE]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    let flash = fs::read(station.path("unit.flash")).expect("the unit's flash");
    station.write("bootloader.bin", &flash[BOOTLOADER]);
    station.write("app.bin", &flash[APP]);
    let changed = PROFILE
        .replace("app = { model = \"espvault\" }", "app = { file = \"app.bin\" }")
        .replace("bootloader = \"esp-idf\"", "bootloader = \"bootloader.bin\"");
    station.write("espvault.toml", changed);
    (station, flash)
}

/// The order is refused, and nothing came of it.
fn refused(station: &Station, flash: &[u8], expected: &[&str]) {
    let numbers = || station.unit(["ids", "list", "espvault", "--json"]).json();
    let before = numbers();
    let order = ["run", "espvault.toml", "--lot", "A", "--device", DEVICE];
    let ended = station.unit(order);
    assert_eq!(ended.code(), 2, "{ended:?}");
    for part in expected {
        assert!(ended.stderr.contains(part), "{ended:?}");
    }
    assert_eq!(numbers(), before);
    assert!(fs::read(station.path("unit.flash")).expect("the unit's flash") == flash);
}

#[test]
fn a_products_own_images_are_proven_before_anything_is_touched() {
    let (station, flash) = with_files();
    let ended = station.unit(["run", "espvault.toml", "--json", "--device", DEVICE]);
    assert_eq!(ended.code(), 0, "{}", ended.stdout);
    let flash = match fs::read(station.path("unit.flash")) {
        Ok(after) => after,
        Err(error) => panic!("{error}: it had {} bytes", flash.len()),
    };

    let (bootloader, app) = (&flash[BOOTLOADER], &flash[APP]);
    let mut damaged = app.to_vec();
    damaged[0x100] ^= 1;
    station.write("app.bin", &damaged);
    refused(&station, &flash, &["app.bin", "damaged"]);
    let end = app.iter().rposition(|byte| *byte != 0xFF).expect("it is not blank") + 1;
    station.write("app.bin", &app[..end / 2]);
    refused(&station, &flash, &["app.bin", "cut short"]);
    station.write("app.bin", bootloader);
    refused(&station, &flash, &["app.bin", "no application description"]);
    station.write("app.bin", app);
    station.write("bootloader.bin", &flash[0x8000..0x9000]);
    refused(&station, &flash, &["bootloader.bin", "a partition table"]);
    // It was once loaded, and the unit passed.
    station.write("bootloader.bin", &app[..end]);
    refused(&station, &flash, &["bootloader.bin", "is an application"]);
}

#[test]
fn machine_code_is_refused_for_a_simulated_unit_with_the_devices_that_run_it() {
    let (station, flash) = with_files();
    let app = flash[APP].to_vec();
    let place = app.windows(8).position(|word| word == b"GOLDFIRM").expect("its description");
    // The bytes that stay the same under the checksum, and no SHA-256 to make anew.
    let mut own = app;
    (own[place], own[place + 1]) = (own[place + 1], own[place]);
    let hash = without_hash(&mut own);
    own[hash..].fill(0xFF);
    station.write("app.bin", own);
    refused(
        &station,
        &flash,
        &["app.bin", "the simulator runs firmware descriptions only", "serial port"],
    );
}

/// Says in the header that there is no SHA-256; where it was.
fn without_hash(app: &mut [u8]) -> usize {
    let word = |app: &[u8], at: usize| {
        u32::from_le_bytes(app[at..at + 4].try_into().expect("four bytes")) as usize
    };
    let mut at = 24;
    for _ in 0..app[1] {
        at += 8 + word(app, at + 4);
    }
    app[23] = 0;
    (at | 15) + 1
}
