//! The provisioning firmware: what its build was given ends up in the unit's NVS.

use std::collections::BTreeMap;
use std::sync::Arc;

use esp_nvs::mem_flash::MemFlash;
use esp_nvs::{Key, Nvs};
use goldline_simulator::world::Silence;
use goldline_simulator::{Config, Simulator, chip, firmware};

use crate::bench::{boot_until, flash};
use crate::images::product_of_elf;

const FIRMWARE: &str = include_str!("../../../../fixtures/firmware/ble-gateway-factory.toml");
const NVS: std::ops::Range<usize> = 0x9000..0xF000;
const TABLE: &str = "\
nvs,data,nvs,0x9000,0x6000,
otadata,data,ota,0xf000,0x2000,
ota_0,app,ota_0,0x20000,0x180000,
";
const PASSWORD: &str = "10b2757146584c3f228737a2e7d6fd6476a04e913dec423eecb5bb66f32326d2";

/// The log of a unit that runs the provisioning firmware, and the NVS that it leaves.
fn provisioned(table: &str, until: &str) -> (String, Vec<u8>) {
    let given = [("PROVISION_DEVICE_ID", "240AC4000110"), ("PROVISION_MQTT_PASSWORD", PASSWORD)];
    let given: BTreeMap<_, _> =
        given.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let authority = crate::boot::authority();
    let elf = firmware::compile_with(FIRMWARE, &authority, &given, chip::ESP32).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(chip::ESP32);
    config.flash_file = Some(folder.path().join("flash.bin"));
    let simulator = Simulator::start(config, Arc::new(Silence)).unwrap();
    let regions = product_of_elf(&elf, espflash::target::Chip::Esp32, table);
    flash(&simulator, &regions);
    let log = boot_until(&simulator, until);
    drop(simulator);
    let bytes = std::fs::read(folder.path().join("flash.bin")).unwrap();
    (log, bytes[NVS].to_vec())
}

#[test]
fn what_the_build_was_given_is_stored_and_not_printed() {
    let (log, bytes) = provisioned(TABLE, "Remove FACTORY_PROVISION and reflash.");
    assert!(
        log.contains("=== FACTORY PROVISIONING MODE ===\r\n✓ Factory provisioned\r\n"),
        "{log}"
    );
    assert!(!log.contains(PASSWORD), "{log}");
    let size = bytes.len();
    let mut nvs = Nvs::new(0, size, MemFlash::from_bytes(bytes)).unwrap();
    let (space, key) = (Key::from_str("gateway"), |name: &str| Key::from_str(name));
    assert_eq!(nvs.get::<String>(&space, &key("mqtt_user")).unwrap(), "240AC4000110");
    assert_eq!(nvs.get::<String>(&space, &key("mqtt_pass")).unwrap(), PASSWORD);
    assert_eq!(nvs.get::<u8>(&space, &key("provisioned")).unwrap(), 1);
}

#[test]
fn a_unit_without_an_nvs_does_not_say_that_it_is_provisioned() {
    let table = TABLE.replace("nvs,data,nvs,", "nvs,data,phy,");
    let (log, _) = provisioned(&table, "ESP_ERR_NVS_PART_NOT_FOUND");
    assert!(!log.contains("Factory provisioned"), "{log}");
}
