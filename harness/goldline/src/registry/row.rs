//! One device of the register, valid by construction: every text fits the table that this program makes.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use uuid::Uuid;

use super::columns::{COLUMNS, Column};
use crate::{identity::Mac, secret::Secret};

/// What the register says became of a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It has its values.
    Provisioned,
    /// Its last verdict is FAIL.
    Failed,
    /// Someone wrote it off, for ever.
    Scrapped,
}

impl Status {
    /// As it stands in the register.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioned => "provisioned",
            Self::Failed => "failed",
            Self::Scrapped => "scrapped",
        }
    }
}

/// What the register holds of a unit.
#[derive(Clone, Debug)]
pub struct Device {
    /// The unit's own UUID, by which it is known.
    pub uuid: Uuid,
    /// Base MAC.
    pub mac: Mac,
    /// The secret that the unit shares with the service.
    pub psk: Secret,
    /// Where the unit finds the certificate authority.
    pub ca_service_url: Option<String>,
    /// The network that the unit joins.
    pub wifi_ssid: Option<String>,
    /// Version of the firmware that was flashed.
    pub firmware_version: Option<String>,
    /// Revision of the board; unknown leaves the register's own.
    pub hardware_revision: Option<String>,
    /// Where the unit is; unknown leaves the register's own.
    pub location: Option<String>,
    /// What became of the unit.
    pub status: Status,
    /// Whether only that is news: a row that is there keeps its values, which the unit may have from elsewhere.
    pub status_only: bool,
    /// When the unit was provisioned, or got its status.
    pub provisioned_at: OffsetDateTime,
    /// Base MAC of the module that this one took the place of: a row of it may be written over.
    pub replaces: Option<Mac>,
}

/// A device whose texts fit.
#[derive(Clone, Debug)]
pub struct DeviceRow(Device);

/// A device cannot be registered. No value is shown: one of them is a secret.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum RowError {
    #[error("{column} has {found} characters, the registry takes at most {allowed}")]
    TooLong { column: &'static str, found: usize, allowed: usize },
    #[error("{column} holds a NUL character, which the registry cannot store")]
    Nul { column: &'static str },
    #[error("the row that was kept is not one of this program's")]
    NotARow,
}

impl DeviceRow {
    /// Checks a device.
    ///
    /// # Errors
    /// When a text is too long or cannot be stored.
    pub fn new(device: Device) -> Result<Self, RowError> {
        let row = Self(device);
        for column in COLUMNS {
            let Some(text) = row.text(column) else { continue };
            let (name, found) = (column.name, text.chars().count());
            if text.contains('\0') {
                return Err(RowError::Nul { column: name });
            }
            match column.characters {
                Some(allowed) if found > allowed => {
                    return Err(RowError::TooLong { column: name, found, allowed });
                }
                _ => {}
            }
        }
        Ok(row)
    }

    /// The same row of a unit that took the place of that module.
    pub fn replacing(self, replaces: Option<Mac>) -> Self {
        Self(Device { replaces, ..self.0 })
    }

    /// What it says.
    pub fn device(&self) -> &Device {
        &self.0
    }

    /// The whole row as one text, for where it waits; a secret, because it holds one.
    pub fn to_text(&self) -> Secret {
        let device = &self.0;
        let stored = Stored {
            uuid: device.uuid,
            mac: device.mac,
            psk: device.psk.clone(),
            ca_service_url: device.ca_service_url.clone(),
            wifi_ssid: device.wifi_ssid.clone(),
            firmware_version: device.firmware_version.clone(),
            hardware_revision: device.hardware_revision.clone(),
            location: device.location.clone(),
            status: device.status,
            status_only: device.status_only,
            provisioned_at: device.provisioned_at,
            replaces: device.replaces,
        };
        Secret::new(serde_json::to_string(&stored).expect("a row becomes JSON"))
    }

    /// The row in such a text.
    ///
    /// # Errors
    /// When it is no row, or does not fit any more.
    pub fn from_text(text: &Secret) -> Result<Self, RowError> {
        let stored: Stored = serde_json::from_str(text.expose()).map_err(|_| RowError::NotARow)?;
        Self::new(Device {
            uuid: stored.uuid,
            mac: stored.mac,
            psk: stored.psk,
            ca_service_url: stored.ca_service_url,
            wifi_ssid: stored.wifi_ssid,
            firmware_version: stored.firmware_version,
            hardware_revision: stored.hardware_revision,
            location: stored.location,
            status: stored.status,
            status_only: stored.status_only,
            provisioned_at: stored.provisioned_at,
            replaces: stored.replaces,
        })
    }

    /// What stands in a column of text.
    pub(super) fn text(&self, column: &Column) -> Option<String> {
        let device = &self.0;
        match column.name {
            "global_uuid" => Some(device.uuid.to_string()),
            "mac_address" => Some(device.mac.to_string()),
            "psk_secret" => Some(device.psk.expose().to_owned()),
            "ca_service_url" => device.ca_service_url.clone(),
            "wifi_ssid" => device.wifi_ssid.clone(),
            "firmware_version" => device.firmware_version.clone(),
            "hardware_revision" => device.hardware_revision.clone(),
            "location" => device.location.clone(),
            "status" => Some(device.status.as_str().to_owned()),
            _ => None,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    uuid: Uuid,
    mac: Mac,
    #[serde(serialize_with = "expose", deserialize_with = "conceal")]
    psk: Secret,
    ca_service_url: Option<String>,
    wifi_ssid: Option<String>,
    firmware_version: Option<String>,
    hardware_revision: Option<String>,
    location: Option<String>,
    status: Status,
    #[serde(default)]
    status_only: bool,
    #[serde(with = "time::serde::rfc3339")]
    provisioned_at: OffsetDateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaces: Option<Mac>,
}

/// Only inside the text of [`DeviceRow::to_text`], which is a secret itself.
fn expose<S: Serializer>(psk: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(psk.expose())
}

fn conceal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> Device {
        Device {
            uuid: Uuid::nil(),
            mac: Mac([0x24, 0x0A, 0xC4, 0, 1, 0x10]),
            psk: Secret::new("7d8e9f0a".repeat(8)),
            ca_service_url: Some("https://ca.example.test".to_owned()),
            wifi_ssid: Some("é".repeat(32)),
            firmware_version: None,
            hardware_revision: None,
            location: None,
            status: Status::Provisioned,
            status_only: false,
            provisioned_at: OffsetDateTime::UNIX_EPOCH,
            replaces: None,
        }
    }

    #[test]
    fn characters_are_counted_and_not_bytes() {
        assert!(DeviceRow::new(device()).is_ok());
    }

    #[test]
    fn a_text_that_does_not_fit_is_refused_by_its_column() {
        let ssid = Device { wifi_ssid: Some("n".repeat(33)), ..device() };
        let refused = DeviceRow::new(ssid).expect_err("too long");
        assert_eq!(
            refused.to_string(),
            "wifi_ssid has 33 characters, the registry takes at most 32"
        );
        let psk = Device { psk: Secret::new("f".repeat(65)), ..device() };
        let refused = DeviceRow::new(psk).expect_err("too long");
        assert_eq!(refused, RowError::TooLong { column: "psk_secret", found: 65, allowed: 64 });
        let nul = Device { location: Some("hall\0".to_owned()), ..device() };
        assert_eq!(DeviceRow::new(nul).expect_err("NUL"), RowError::Nul { column: "location" });
    }

    #[test]
    fn a_row_survives_its_wait() {
        let row = DeviceRow::new(device()).expect("it fits");
        let back = DeviceRow::from_text(&row.to_text()).expect("it is one");
        assert_eq!(back.to_text(), row.to_text());
        assert_eq!(DeviceRow::from_text(&Secret::new("{}")).err(), Some(RowError::NotARow));
        assert!(!format!("{row:?}").contains("7d8e9f0a"));
    }
}
