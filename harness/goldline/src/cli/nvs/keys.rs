//! `--keys` and `--hmac-key`: key files → the keys of an encrypted partition.

use std::path::{Path, PathBuf};

use clap::Args;
use goldline_nvs::crypt::{HmacKey, Keys};

use super::{files, problem::NvsProblem};

/// The key of an encrypted partition, in one of the two schemes.
#[derive(Args, Clone, Debug)]
pub(super) struct KeyArguments {
    /// The partition's keys: an nvs_keys partition, or the reference generator's key file
    #[arg(long, value_name = "FILE", conflicts_with = "hmac_key")]
    keys: Option<PathBuf>,
    /// The HMAC key in eFuse from which the partition's keys are derived, 32 bytes
    #[arg(long, value_name = "FILE")]
    hmac_key: Option<PathBuf>,
}

impl KeyArguments {
    /// The keys, when a file was named.
    pub(super) fn read(&self) -> Result<Option<Keys>, NvsProblem> {
        read(self.keys.as_deref(), self.hmac_key.as_deref())
    }

    /// The keys, without which a command means nothing.
    pub(super) fn read_required(&self) -> Result<Keys, NvsProblem> {
        self.read()?.ok_or(NvsProblem::NoKeys)
    }

    /// The file that was named.
    pub(super) fn path(&self) -> Option<&Path> {
        self.keys.as_deref().or(self.hmac_key.as_deref())
    }
}

/// Reads the key file of either scheme.
pub(super) fn read(
    partition: Option<&Path>,
    hmac: Option<&Path>,
) -> Result<Option<Keys>, NvsProblem> {
    let (path, keys) = match (partition, hmac) {
        (Some(path), _) => (path, Keys::from_partition(&files::read(path)?)),
        (None, Some(path)) => (path, HmacKey::new(&files::read(path)?).map(|key| key.derive())),
        (None, None) => return Ok(None),
    };
    let bad = |error: goldline_nvs::crypt::KeysError| NvsProblem::Key {
        path: path.to_owned(),
        why: error.into(),
    };
    keys.map(Some).map_err(bad)
}
