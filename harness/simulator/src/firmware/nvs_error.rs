//! How reading NVS fails, in a real driver's words.

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
    #[error("ESP_ERR_NVS_KEYS_NOT_INITIALIZED")]
    KeysNotInitialized,
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
