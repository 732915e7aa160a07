//! What may have to be told to the register later, as one text for where it waits.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{DeviceRow, RowError};
use crate::{identity::Mac, secret::Secret};

/// One thing to be told to the register.
#[derive(Clone, Debug)]
pub enum Notice {
    /// A unit's row, boxed for its size.
    Row(Box<DeviceRow>),
    /// A unit is scrapped.
    Scrap(UnitName),
}

/// Which unit, by what stands in its row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitName {
    /// Its UUID.
    Uuid(Uuid),
    /// Its base MAC.
    Mac(Mac),
}

impl std::fmt::Display for UnitName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Uuid(uuid) => uuid.fmt(f),
            Self::Mac(mac) => mac.fmt(f),
        }
    }
}

/// Told from a row, which has no such member.
#[derive(Serialize, Deserialize)]
struct Scrap {
    scrap: UnitName,
}

impl Notice {
    /// As one text; a secret, because a row holds one.
    pub fn to_text(&self) -> Secret {
        match self {
            Self::Row(row) => row.to_text(),
            Self::Scrap(unit) => {
                let text = serde_json::to_string(&Scrap { scrap: *unit });
                Secret::new(text.expect("a name becomes JSON"))
            }
        }
    }

    /// What such a text says; a row of an earlier version among them.
    ///
    /// # Errors
    /// As [`DeviceRow::from_text`].
    pub fn from_text(text: &Secret) -> Result<Self, RowError> {
        match serde_json::from_str(text.expose()) {
            Ok(Scrap { scrap }) => Ok(Self::Scrap(scrap)),
            Err(_) => DeviceRow::from_text(text).map(|row| Self::Row(Box::new(row))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrapped_unit_survives_its_wait() {
        for unit in [UnitName::Uuid(Uuid::nil()), UnitName::Mac(Mac([2, 0, 0, 0, 0, 1]))] {
            let back = Notice::from_text(&Notice::Scrap(unit).to_text()).expect("it is one");
            assert!(matches!(back, Notice::Scrap(found) if found == unit), "{back:?}");
        }
        assert_eq!(Notice::from_text(&Secret::new("{}")).err(), Some(RowError::NotARow));
    }

    #[test]
    fn a_row_that_an_earlier_version_queued_is_whole() {
        let older = r#"{"uuid":"110e3dc9-fa05-568f-a05a-98d00891029d","mac":"a4:cf:12:34:56:78",
            "psk":"00","ca_service_url":null,"wifi_ssid":null,"firmware_version":null,
            "hardware_revision":null,"location":null,"status":"provisioned",
            "provisioned_at":"2026-11-26T12:00:00Z"}"#;
        let Ok(Notice::Row(row)) = Notice::from_text(&Secret::new(older)) else { panic!("a row") };
        assert!(!row.device().status_only);
    }
}
