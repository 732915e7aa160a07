//! Devices to register.

use std::time::Duration;

use goldline::{
    clock::Deadline,
    identity::Mac,
    registry::{Device, DeviceRow, Status},
    secret::Secret,
};
use time::{OffsetDateTime, macros::datetime};
use uuid::{Uuid, uuid};

pub const UNIT: Uuid = uuid!("110e3dc9-fa05-568f-a05a-98d00891029d");
pub const PSK: &str = "7d8e9f0a1b2c3d4e5f6a7b8c9d0e1f2a7d8e9f0a1b2c3d4e5f6a7b8c9d0e1f2a";
pub const NOON: OffsetDateTime = datetime!(2026-11-26 12:00 UTC);

/// Nothing here takes that long.
pub fn patience() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

pub fn device() -> Device {
    Device {
        uuid: UNIT,
        mac: Mac([0xA4, 0xCF, 0x12, 0x34, 0x56, 0x78]),
        psk: Secret::new(PSK),
        ca_service_url: Some("https://ca.example.test:8443".to_owned()),
        wifi_ssid: Some("Factory".to_owned()),
        firmware_version: Some("1.4.2".to_owned()),
        hardware_revision: Some("C".to_owned()),
        location: None,
        status: Status::Provisioned,
        status_only: false,
        provisioned_at: NOON,
        replaces: None,
    }
}

pub fn row(device: Device) -> DeviceRow {
    DeviceRow::new(device).expect("it fits")
}
