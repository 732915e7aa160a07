//! NVS partitions as the firmware's own driver opens them.
//!
//! The driver is esp-nvs. It writes while it opens and knows neither encryption nor newer versions,
//! so what a real driver would refuse is refused before it sees the partition.

use esp_nvs::mem_flash::MemFlash;
use esp_nvs::{Key, Nvs};

use crate::boot::partitions::Partition;
use crate::flash::{Nor, SECTOR_SIZE};

/// Version bytes of page headers: format 1 and format 2.
const VERSIONS: [u8; 2] = [0xFF, 0xFE];
const VERSION_AT: usize = 8;
const PAGE_EMPTY: [u8; 4] = [0xFF; 4];

/// ESP-IDF's errors, by the name that a firmware prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NvsError {
    #[error("ESP_ERR_NVS_NOT_FOUND")]
    NotFound,
    #[error("ESP_ERR_NVS_PART_NOT_FOUND")]
    PartitionNotFound,
    #[error("ESP_ERR_NVS_WRONG_ENCRYPTION")]
    WrongEncryption,
    #[error("ESP_ERR_NVS_NEW_VERSION_FOUND")]
    NewVersion,
    #[error("ESP_ERR_NVS_NO_FREE_PAGES")]
    NoFreePages,
    #[error("ESP_ERR_NVS_TYPE_MISMATCH")]
    TypeMismatch,
    #[error("ESP_ERR_NVS_INVALID_LENGTH")]
    InvalidLength,
    #[error("ESP_ERR_NVS_INVALID_NAME")]
    InvalidName,
    #[error("ESP_ERR_NVS_CORRUPT_KEY_PART")]
    Corrupt,
}

impl From<esp_nvs::error::Error> for NvsError {
    fn from(error: esp_nvs::error::Error) -> Self {
        use esp_nvs::error::Error;
        match error {
            Error::NamespaceNotFound | Error::KeyNotFound => Self::NotFound,
            Error::ItemTypeMismatch(_) => Self::TypeMismatch,
            Error::FlashFull | Error::PageFull => Self::NoFreePages,
            Error::KeyTooLong | Error::KeyMalformed => Self::InvalidName,
            // The device drops an item whose CRC fails, and then does not find it.
            Error::CorruptedData => Self::NotFound,
            _ => Self::Corrupt,
        }
    }
}

/// An open NVS partition. Changes reach flash with [`Storage::close`].
pub(super) struct Storage {
    nvs: Nvs<MemFlash>,
    offset: u32,
}

impl Storage {
    /// Opens a partition as `nvs_flash_init_partition` does, without keys.
    pub(super) fn open(partition: &Partition, flash: &Nor) -> Result<Self, NvsError> {
        if partition.encrypted {
            return Err(NvsError::WrongEncryption);
        }
        let bytes = flash.read(partition.offset, partition.size).map_err(|_| NvsError::Corrupt)?;
        check_pages(bytes)?;
        let memory = MemFlash::from_bytes(bytes.to_vec());
        let nvs = Nvs::new(0, bytes.len(), memory)?;
        Ok(Self { nvs, offset: partition.offset })
    }

    pub(super) fn string(&mut self, namespace: &str, key: &str) -> Result<String, NvsError> {
        Ok(self.nvs.get(&name(namespace)?, &name(key)?)?)
    }

    pub(super) fn has_namespace(&self, namespace: &str) -> bool {
        self.nvs.namespaces().any(|found| found.as_str() == namespace)
    }

    pub(super) fn set_string(
        &mut self,
        namespace: &str,
        key: &str,
        value: &str,
    ) -> Result<(), NvsError> {
        Ok(self.nvs.set(&name(namespace)?, &name(key)?, value)?)
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
        let bytes = self.nvs.into_inner().into_inner();
        flash.rewrite(self.offset, &bytes).expect("the partition was read from the same flash");
    }
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
