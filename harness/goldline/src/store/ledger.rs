//! The units that this station provisioned, by MAC: what a later `check` must find again.

use std::{collections::BTreeMap, fs};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{StateDirectory, StoreError, at, make_private_folder, write_private};
use crate::{
    hex::{from_hex, hex},
    identity::Mac,
    secret::Secret,
};

/// One unit's last provisioning.
#[derive(Clone, Debug)]
pub struct UnitEntry {
    /// Base MAC.
    pub mac: Mac,
    /// Name of the profile.
    pub profile: String,
    /// Which version of the product: [`Plan::product_digest`](crate::plan::Plan::product_digest).
    pub product: String,
    /// The run that provisioned it.
    pub run_id: Uuid,
    /// When.
    pub provisioned_at: OffsetDateTime,
    /// The bench's own services that gave it some of its values: nobody else knows these.
    pub of_bench: Vec<String>,
    /// Its values by name.
    pub values: BTreeMap<String, Secret>,
}

/// An entry as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    mac: Mac,
    profile: String,
    product: String,
    run_id: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    provisioned_at: OffsetDateTime,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    of_bench: Vec<String>,
    /// Nonce and ciphertext of the values, in hex.
    sealed_values: String,
}

impl StateDirectory {
    /// Remembers a unit; an earlier entry of it is replaced.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the file cannot be written.
    pub fn remember(&self, unit: &UnitEntry) -> Result<(), StoreError> {
        let folder = self.root.join("units");
        make_private_folder(&folder)?;
        let values: BTreeMap<&str, &str> =
            unit.values.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        let plain = Zeroizing::new(serde_json::to_vec(&values).expect("strings become JSON"));
        let name = unit.mac.compact();
        let stored = Stored {
            mac: unit.mac,
            profile: unit.profile.clone(),
            product: unit.product.clone(),
            run_id: unit.run_id,
            provisioned_at: unit.provisioned_at,
            of_bench: unit.of_bench.clone(),
            sealed_values: hex(&self.key.seal(&name, &plain)?),
        };
        let text = serde_json::to_vec_pretty(&stored).expect("an entry becomes JSON");
        write_private(&folder.join(name + ".json"), &text)
    }

    /// What is remembered of a unit.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the entry was changed or is another station's.
    pub fn recall(&self, mac: Mac) -> Result<Option<UnitEntry>, StoreError> {
        let name = mac.compact();
        let path = self.root.join("units").join(format!("{name}.json"));
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read(&path).map_err(at(&path))?;
        let damaged = |reason: String| StoreError::Damaged { path: path.clone(), reason };
        let stored: Stored =
            serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        let plain = from_hex(&stored.sealed_values)
            .and_then(|sealed| self.key.open(&name, &sealed))
            .ok_or_else(|| damaged("its values were not sealed by this station".to_owned()))?;
        let values: BTreeMap<String, String> =
            serde_json::from_slice(&plain).map_err(|error| damaged(error.to_string()))?;
        Ok(Some(UnitEntry {
            mac: stored.mac,
            profile: stored.profile,
            product: stored.product,
            run_id: stored.run_id,
            provisioned_at: stored.provisioned_at,
            of_bench: stored.of_bench,
            values: values.into_iter().map(|(name, value)| (name, Secret::new(value))).collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_found_again_and_its_secrets_are_not_in_the_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = StateDirectory::open(&folder.path().join("state")).expect("it opens");
        let mac = Mac([0xA4, 0xCF, 0x12, 0x34, 0x56, 0x78]);
        let secret = Secret::new("DeviceSecretKey");
        let unit = UnitEntry {
            mac,
            profile: "espvault".to_owned(),
            product: "00".to_owned(),
            run_id: Uuid::nil(),
            provisioned_at: OffsetDateTime::UNIX_EPOCH,
            of_bench: Vec::new(),
            values: BTreeMap::from([("mqtt_password".to_owned(), secret.clone())]),
        };
        assert!(state.recall(mac).expect("readable").is_none());
        state.remember(&unit).expect("written");
        let found = state.recall(mac).expect("readable").expect("remembered");
        assert_eq!(found.values.get("mqtt_password"), Some(&secret));
        let file = folder.path().join("state/units/a4cf12345678.json");
        let text = fs::read_to_string(&file).expect("the entry's file");
        assert!(!text.contains("DeviceSecretKey"));
        // An entry that was passed off as another unit's is refused.
        fs::rename(&file, folder.path().join("state/units/a4cf12345679.json")).expect("renamed");
        let other = Mac([0xA4, 0xCF, 0x12, 0x34, 0x56, 0x79]);
        assert!(matches!(state.recall(other), Err(StoreError::Damaged { .. })));
    }
}
