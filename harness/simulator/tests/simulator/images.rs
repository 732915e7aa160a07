//! Flash images of a sample product, made by espflash from a firmware of this crate.

use std::fs;

use espflash::flasher::{FlashData, FlashMode, FlashSettings, FlashSize};
use espflash::image_format::idf::IdfBootloaderFormat;
use espflash::target::{Chip, XtalFrequency};
use goldline_simulator::chip::Model;

pub const FIRMWARE: &str = include_str!("../../../../fixtures/firmware/espvault.toml");

pub const TABLE: &str = "\
nvs,data,nvs,0x9000,0x6000,
phy_init,data,phy,0xf000,0x1000,
factory,data,nvs,0x10000,0x6000,
otadata,data,ota,0x16000,0x2000,
ota_0,app,ota_0,0x20000,0x180000,
ota_1,app,ota_1,0x1A0000,0x180000,
storage,data,spiffs,0x320000,0xD0000,
";

pub const APP_OFFSET: u32 = 0x20000;
pub const NVS_OFFSET: u32 = 0x10000;
pub const NVS_SIZE: usize = 0x6000;

/// Bytes and where they go.
#[derive(Debug, Clone)]
pub struct Region {
    pub offset: u32,
    pub data: Vec<u8>,
}

/// Bootloader, partition table and application.
pub fn product(model: &Model, chip: Chip, trust_anchor: &str) -> Vec<Region> {
    product_with_table(model, chip, trust_anchor, TABLE)
}

pub fn product_with_table(
    model: &Model,
    chip: Chip,
    trust_anchor: &str,
    table: &str,
) -> Vec<Region> {
    product_of(FIRMWARE, model, chip, trust_anchor, table)
}

/// The same of any firmware.
pub fn product_of(
    firmware: &str,
    model: &Model,
    chip: Chip,
    trust_anchor: &str,
    table: &str,
) -> Vec<Region> {
    let elf = goldline_simulator::firmware::compile(firmware, trust_anchor, model).unwrap();
    product_of_elf(&elf, chip, table)
}

/// The same of an ELF file.
pub fn product_of_elf(elf: &[u8], chip: Chip, table: &str) -> Vec<Region> {
    let folder = tempfile::tempdir().unwrap();
    let table_file = folder.path().join("partitions.csv");
    fs::write(&table_file, table).unwrap();
    let settings = FlashSettings::new(
        Some(FlashMode::Dio),
        Some(FlashSize::_4Mb),
        Some(chip.default_flash_frequency()),
    );
    let crystal = match chip {
        Chip::Esp32h2 => XtalFrequency::_32Mhz,
        _ => XtalFrequency::_40Mhz,
    };
    let flash_data = FlashData::new(settings, 0, None, chip, crystal);
    let format =
        IdfBootloaderFormat::new(elf, &flash_data, Some(&table_file), None, None, Some("ota_0"))
            .unwrap();
    format
        .flash_segments()
        .map(|segment| Region { offset: segment.addr, data: segment.data.to_vec() })
        .collect()
}

/// An NVS with the settings of one unit, made with the crate that the firmware reads it with.
pub fn settings(values: &[(&str, &str)]) -> Region {
    settings_in("vault", NVS_OFFSET, NVS_SIZE, values)
}

/// The same in any namespace and place.
pub fn settings_in(namespace: &str, offset: u32, size: usize, values: &[(&str, &str)]) -> Region {
    use esp_nvs::mem_flash::MemFlash;
    use esp_nvs::{Key, Nvs};
    let mut nvs = Nvs::new(0, size, MemFlash::new(size / 0x1000)).unwrap();
    for (key, value) in values {
        nvs.set(&Key::from_str(namespace), &Key::from_str(key), *value).unwrap();
    }
    Region { offset, data: nvs.into_inner().into_inner() }
}

pub const SAMPLE: &[(&str, &str)] = &[
    ("wifi_ssid", "Workbench"),
    ("wifi_password", "correct horse"),
    ("device_id", "VAULT-00001"),
    ("mqtt_broker", "mqtts://broker.example.test:8883"),
    ("mqtt_username", "device_vault_00001"),
    ("mqtt_password", "battery staple"),
];
