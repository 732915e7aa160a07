//! NVS partitions as the firmware's own driver opens them.
//!
//! The driver is esp-nvs. It writes while it opens and knows neither encryption nor newer versions,
//! so what a real driver would refuse is refused before it sees the partition.

use std::collections::BTreeMap;

use esp_nvs::mem_flash::MemFlash;
use esp_nvs::{Key, Nvs};

use super::description::{self, SettingKind};
use super::nvs_error::NvsError;
use super::nvs_keys::NvsKeys;
use crate::flash::{Nor, SECTOR_SIZE};
use crate::layout::partitions::{Partition, PartitionTable};

/// Version bytes of page headers: format 1 and format 2.
const VERSIONS: [u8; 2] = [0xFF, 0xFE];
const VERSION_AT: usize = 8;
const PAGE_EMPTY: [u8; 4] = [0xFF; 4];

/// An open NVS partition. Changes reach flash with [`Storage::close`].
pub(super) struct Storage {
    nvs: Nvs<MemFlash>,
    offset: u32,
    keys: Option<NvsKeys>,
    /// What lay in flash: an entry that did not change is not encrypted anew.
    before: Vec<u8>,
}

impl Storage {
    /// Opens a partition as `nvs_flash_init_partition` does, without keys.
    pub(super) fn open(
        partition: &Partition,
        flash: &Nor,
        keys: Option<&NvsKeys>,
    ) -> Result<Self, NvsError> {
        if partition.encrypted {
            return Err(NvsError::WrongEncryption);
        }
        let bytes = flash.read(partition.offset, partition.size).map_err(|_| NvsError::Corrupt)?;
        check_pages(bytes)?;
        let before = bytes.to_vec();
        let plain = keys.map_or_else(|| before.clone(), |keys| keys.decrypt(&before));
        let nvs = Nvs::new(0, plain.len(), MemFlash::from_bytes(plain))?;
        Ok(Self { nvs, offset: partition.offset, keys: keys.cloned(), before })
    }

    pub(super) fn byte(&mut self, namespace: &str, key: &str) -> Result<u8, NvsError> {
        Ok(self.nvs.get(&name(namespace)?, &name(key)?)?)
    }

    pub(super) fn half_word(&mut self, namespace: &str, key: &str) -> Result<u16, NvsError> {
        Ok(self.nvs.get(&name(namespace)?, &name(key)?)?)
    }

    pub(super) fn signed_word(&mut self, namespace: &str, key: &str) -> Result<i32, NvsError> {
        Ok(self.nvs.get(&name(namespace)?, &name(key)?)?)
    }

    pub(super) fn word(&mut self, namespace: &str, key: &str) -> Result<u32, NvsError> {
        Ok(self.nvs.get(&name(namespace)?, &name(key)?)?)
    }

    pub(super) fn blob(&mut self, namespace: &str, key: &str) -> Result<Vec<u8>, NvsError> {
        Ok(self.nvs.get(&name(namespace)?, &name(key)?)?)
    }

    pub(super) fn set_string(
        &mut self,
        namespace: &str,
        key: &str,
        value: &str,
    ) -> Result<(), NvsError> {
        Ok(self.nvs.set(&name(namespace)?, &name(key)?, value)?)
    }

    /// Marks a key's entry erased, as `nvs_erase_key` does; one that is not there is no error.
    pub(super) fn remove(&mut self, namespace: &str, key: &str) -> Result<(), NvsError> {
        match self.nvs.delete(&name(namespace)?, &name(key)?).map_err(NvsError::from) {
            Err(NvsError::NotFound) => Ok(()),
            other => other,
        }
    }

    pub(super) fn string(&mut self, namespace: &str, key: &str) -> Result<String, NvsError> {
        Ok(self.nvs.get(&name(namespace)?, &name(key)?)?)
    }

    pub(super) fn has_namespace(&self, namespace: &str) -> bool {
        self.nvs.namespaces().any(|found| found.as_str() == namespace)
    }

    pub(super) fn set_byte(
        &mut self,
        namespace: &str,
        key: &str,
        value: u8,
    ) -> Result<(), NvsError> {
        Ok(self.nvs.set(&name(namespace)?, &name(key)?, value)?)
    }

    pub(super) fn set_word(
        &mut self,
        namespace: &str,
        key: &str,
        value: u32,
    ) -> Result<(), NvsError> {
        Ok(self.nvs.set(&name(namespace)?, &name(key)?, value)?)
    }

    pub(super) fn set_half_word(
        &mut self,
        namespace: &str,
        key: &str,
        value: u16,
    ) -> Result<(), NvsError> {
        Ok(self.nvs.set(&name(namespace)?, &name(key)?, value)?)
    }

    pub(super) fn set_signed_word(
        &mut self,
        namespace: &str,
        key: &str,
        value: i32,
    ) -> Result<(), NvsError> {
        Ok(self.nvs.set(&name(namespace)?, &name(key)?, value)?)
    }

    pub(super) fn set_blob(
        &mut self,
        namespace: &str,
        key: &str,
        value: &[u8],
    ) -> Result<(), NvsError> {
        Ok(self.nvs.set(&name(namespace)?, &name(key)?, value)?)
    }

    /// Writes what changed back to flash, under the rules of NOR.
    pub(super) fn close(self, flash: &mut Nor) {
        let plain = self.nvs.into_inner().into_inner();
        let bytes = match &self.keys {
            Some(keys) => keys.encrypt(&plain, &self.before),
            None => plain,
        };
        flash.rewrite(self.offset, &bytes).expect("the partition was read from the same flash");
    }
}

/// Writes values by the names of the description; those that it does not know are none of NVS's.
pub(super) fn store(
    wanted: &description::Settings,
    table: &PartitionTable,
    flash: &mut Nor,
    keys: Option<&NvsKeys>,
    values: &BTreeMap<String, String>,
) -> Result<(), NvsError> {
    let partition = table.labelled(&wanted.partition).filter(|partition| partition.is_nvs());
    let partition = partition.ok_or(NvsError::PartitionNotFound)?;
    let mut storage = Storage::open(partition, flash, keys)?;
    for (name, value) in values {
        let Some(setting) = wanted.values.get(name) else { continue };
        let (namespace, key) = (&wanted.namespace, &setting.key);
        match setting.kind {
            SettingKind::U8 | SettingKind::Bool => {
                let byte = value.parse().map_err(|_| NvsError::TypeMismatch)?;
                storage.set_byte(namespace, key, byte)?;
            }
            SettingKind::U32 => {
                let word = value.parse().map_err(|_| NvsError::TypeMismatch)?;
                storage.set_word(namespace, key, word)?;
            }
            SettingKind::U16 => {
                let word = value.parse().map_err(|_| NvsError::TypeMismatch)?;
                storage.set_half_word(namespace, key, word)?;
            }
            SettingKind::I32 => {
                let word = value.parse().map_err(|_| NvsError::TypeMismatch)?;
                storage.set_signed_word(namespace, key, word)?;
            }
            SettingKind::String => storage.set_string(namespace, key, value)?,
            SettingKind::Blob => storage.set_blob(namespace, key, value.as_bytes())?,
        }
    }
    storage.close(flash);
    Ok(())
}

fn name(text: &str) -> Result<Key, NvsError> {
    let fits = text.len() <= esp_nvs::MAX_KEY_LENGTH;
    fits.then(|| Key::from_str(text)).ok_or(NvsError::InvalidName)
}

fn check_pages(bytes: &[u8]) -> Result<(), NvsError> {
    let mut empty = 0;
    for page in bytes.chunks(SECTOR_SIZE as usize) {
        if page[..4] == PAGE_EMPTY {
            empty += 1;
        } else if !VERSIONS.contains(&page[VERSION_AT]) {
            return Err(NvsError::NewVersion);
        }
    }
    if empty == 0 { Err(NvsError::NoFreePages) } else { Ok(()) }
}
