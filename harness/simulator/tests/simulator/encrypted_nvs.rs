//! Encrypted NVS, as the firmware reads and writes it under both schemes of ESP-IDF.
//!
//! The encrypting side is this file's own, after ESP-IDF's description of the format.

use std::fs;
use std::ops::Range;
use std::sync::Arc;

use aes::Aes256;
use aes::cipher::KeyInit;
use goldline_simulator::world::Silence;
use goldline_simulator::{Config, Mode, Simulator, chip};
use rstest::rstest;
use xts_mode::{Xts128, get_tweak_default};

use crate::bench::{Room, ask, boot_until, flash, open, read_until};
use crate::broker::Broker;
use crate::images::{NVS_OFFSET, NVS_SIZE, Region, SAMPLE, product_of, settings};

const NVS_KEYS: &str = include_str!("../../../../fixtures/firmware/espvault-encrypted.toml");
const HMAC: &str = include_str!("../../../../fixtures/firmware/espvault-hmac.toml");
const TABLE: &str = "\
nvs,data,nvs,0x9000,0x6000,
nvs_keys,data,nvs_keys,0xf000,0x1000,
factory,data,nvs,0x10000,0x6000,
otadata,data,ota,0x16000,0x2000,
ota_0,app,ota_0,0x20000,0x180000,
";
const KEYS_OFFSET: u32 = 0xF000;
const NAME: &str = "broker.example.test";
const PASSWORD: &str = "battery staple";
const HMAC_KEY: [u8; 32] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
    26, 27, 28, 29, 30, 31,
];
/// HMAC-SHA256 of that key over ESP-IDF's two seeds, computed with Python's hmac.
const OF_HMAC: &str = "813a141220ddb819f4d73d59fa3032ab9f592cc26a18cf1fde692f712b6a025c\
                       b20ad6b6ddd1658a6e14d1b5b726e42356adf4ff2f68fcd8826ac2908408addf";

fn keys() -> [u8; 64] {
    std::array::from_fn(|at| at as u8)
}

fn keys_of_hmac() -> [u8; 64] {
    std::array::from_fn(|at| u8::from_str_radix(&OF_HMAC[2 * at..2 * at + 2], 16).unwrap())
}

/// The sector of the keys: both keys, their CRC-32, and nothing.
fn key_partition(keys: &[u8; 64]) -> Region {
    let mut data = keys.to_vec();
    let mut crc = crc32fast::Hasher::new_with_initial(u32::MAX);
    crc.update(keys);
    data.extend(crc.finalize().to_le_bytes());
    data.resize(0x1000, 0xFF);
    Region { offset: KEYS_OFFSET, data }
}

/// The same partition, with each entry that the bitmap calls written encrypted.
fn encrypted(mut plain: Region, keys: &[u8; 64]) -> Region {
    let half = |range: Range<usize>| Aes256::new_from_slice(&keys[range]).unwrap();
    let cipher = Xts128::new(half(0..32), half(32..64));
    for page in 0..plain.data.len() / 0x1000 {
        for entry in 0..126 {
            let state = plain.data[page * 0x1000 + 32 + entry / 4] >> (entry % 4 * 2) & 3;
            let at = page * 0x1000 + 64 + entry * 32;
            if state == 0b10 {
                let bytes = &mut plain.data[at..at + 32];
                cipher.encrypt_sector(bytes, get_tweak_default(at as u128));
            }
        }
    }
    plain
}

/// What a unit prints whose flash and eFuses hold this.
fn log_of(firmware: &str, hmac: Option<[u8; 32]>, regions: &[Region], until: &str) -> String {
    let broker = Broker::start(NAME, PASSWORD, "{}");
    let mut config = Config::new(chip::ESP32S3);
    config.hmac_key = hmac;
    let simulator = Simulator::start(config, Room::new(Some(broker.address))).unwrap();
    let s3 = espflash::target::Chip::Esp32s3;
    flash(&simulator, &product_of(firmware, chip::ESP32S3, s3, &broker.authority, TABLE));
    flash(&simulator, regions);
    boot_until(&simulator, until)
}

#[test]
fn a_unit_reads_settings_with_the_keys_of_its_key_partition() {
    let regions = [key_partition(&keys()), encrypted(settings(SAMPLE), &keys())];
    let log = log_of(NVS_KEYS, None, &regions, "MQTT_EVENT_CONNECTED");
    assert!(log.contains("Configuration loaded from NVS"), "{log}");
}

#[test]
fn a_unit_reads_settings_with_the_keys_that_its_efuses_give() {
    let regions = [encrypted(settings(SAMPLE), &keys_of_hmac())];
    let log = log_of(HMAC, Some(HMAC_KEY), &regions, "MQTT_EVENT_CONNECTED");
    assert!(log.contains("Configuration loaded from NVS"), "{log}");
}

const NO_KEYS: &str = "Failed to init NVS partition 'factory': ESP_ERR_NVS_KEYS_NOT_INITIALIZED";
const NO_NAMESPACE: &str = "Failed to open NVS namespace 'vault': ESP_ERR_NVS_NOT_FOUND";

#[rstest]
#[case::no_key_partition_written(NVS_KEYS, None, None, NO_KEYS)]
#[case::no_key_in_the_efuses(HMAC, None, None, NO_KEYS)]
#[case::other_keys(NVS_KEYS, None, Some([9; 64]), NO_NAMESPACE)]
#[case::other_key_in_the_efuses(HMAC, Some([9; 32]), None, NO_NAMESPACE)]
fn without_the_right_keys_there_are_no_settings(
    #[case] firmware: &str,
    #[case] hmac: Option<[u8; 32]>,
    #[case] partition: Option<[u8; 64]>,
    #[case] expected: &str,
) {
    let wanted = if firmware == HMAC { keys_of_hmac() } else { keys() };
    let mut regions = vec![encrypted(settings(SAMPLE), &wanted)];
    regions.extend(partition.map(|keys| key_partition(&keys)));
    let log = log_of(firmware, hmac, &regions, "Device not provisioned!");
    assert!(log.contains(expected), "{log}");
}

#[test]
fn damaged_keys_are_refused() {
    let mut damaged = key_partition(&keys());
    damaged.data[5] ^= 1;
    let regions = [damaged, encrypted(settings(SAMPLE), &keys())];
    let log = log_of(NVS_KEYS, None, &regions, "Device not provisioned!");
    assert!(log.contains("ESP_ERR_NVS_CORRUPT_KEY_PART"), "{log}");
}

/// A plain image is no settings for a firmware that decrypts.
#[test]
fn plain_settings_are_not_found_by_a_firmware_that_decrypts() {
    let regions = [key_partition(&keys()), settings(SAMPLE)];
    let log = log_of(NVS_KEYS, None, &regions, "Device not provisioned!");
    assert!(log.contains(NO_NAMESPACE), "{log}");
}

/// SafeSignal's firmware, with its settings in an encrypted partition.
#[test]
fn what_a_console_stores_is_encrypted_in_flash_and_read_again() {
    let firmware = crate::console::FIRMWARE.replace(
        "partition = \"nvs\"",
        "partition = \"factory\"\nencryption = { scheme = \"nvs_keys\", partition = \"nvs_keys\" }",
    );
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(chip::ESP32);
    config.flash_file = Some(folder.path().join("flash.bin"));
    let simulator = Simulator::start(config, Arc::new(Silence)).unwrap();
    let (esp32, authority) = (espflash::target::Chip::Esp32, crate::boot::authority());
    let mut regions = product_of(&firmware, chip::ESP32, esp32, &authority, TABLE);
    regions.push(key_partition(&keys()));
    flash(&simulator, &regions);
    let mut port = open(simulator.port_path());
    simulator.lines().reset_into(Mode::Boot);
    read_until(&mut port, "Please provision device");
    // Twice, so that entries are erased and others follow them.
    for ssid in ["Elsewhere", "Workbench"] {
        ask(&mut port, &format!("provision_set_wifi {ssid} swordfish-0815"), "credentials saved");
    }
    ask(&mut port, "provision_set_device d-1 t-1 b-1 r-1", "configuration saved");
    ask(&mut port, "provision_complete", "Complete!");
    simulator.lines().reset_into(Mode::Boot);
    read_until(&mut port, "Credentials loaded: SSID='Workbench'");
    drop(simulator);
    let bytes = fs::read(folder.path().join("flash.bin")).unwrap();
    let nvs = &bytes[NVS_OFFSET as usize..][..NVS_SIZE];
    for plain in ["swordfish", "Workbench", "safesignal", "wifi_pass"] {
        let found = nvs.windows(plain.len()).any(|window| window == plain.as_bytes());
        assert!(!found, "{plain} lies in flash");
    }
    assert_eq!(nvs[..4], [0xFE, 0xFF, 0xFF, 0xFF], "the page's header is plain");
}
