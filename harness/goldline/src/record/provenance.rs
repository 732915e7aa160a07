//! What a run was made of: what an audit asks for, years later.
//!
//! Digests are SHA-256 as lowercase hex, and none is of anything secret. Records of earlier versions have
//! none of it.

use serde::{Deserialize, Serialize};

/// Program, profile, images and station of a run.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of Goldline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goldline: Option<String>,
    /// Digest of the profile's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_digest: Option<String>,
    /// What was flashed besides the unit's own data, and what it was updated to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ImageRecord>,
    /// What the application says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<FirmwareRecord>,
    /// Digest of the reviewed NVS image that the unit's was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub golden: Option<String>,
    /// Digest of the root certificate (DER) of the bench's CA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bench_ca: Option<String>,
    /// Which station, by the name in its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub station: Option<String>,
    /// The port of the nest that the unit lay in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// What the emulator that ran the unit says of its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emulator: Option<String>,
    /// How fast the unit was spoken to, where its port has rates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<Transfer>,
    /// What of the flash had to be changed, where the run wrote any of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flashed: Option<Flashed>,
    /// What repeats the moments and places of simulated faults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// The rates of the transfers with a unit's loader.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Transfer {
    /// The one that the run ended with.
    pub baud: u32,
    /// Those that were left for a lower one, because calls failed at them again and again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<u32>,
}

/// Bytes of the flash, in whole sectors, that a run made what they are to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Flashed {
    /// Those that were written.
    pub written: u64,
    /// Those that the unit's own digest showed to be right already, and nobody wrote.
    pub kept: u64,
    /// Those that held something else than planned, and were erased.
    pub erased: u64,
}

/// One image.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ImageRecord {
    /// `bootloader`, `partition_table`, `app`, or `update` and its number from 1 on.
    pub name: String,
    /// Its length.
    pub bytes: usize,
    /// Its digest.
    pub sha256: String,
}

/// ESP-IDF's `esp_app_desc_t`, as far as it tells builds apart.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FirmwareRecord {
    /// Name of the project.
    pub project: String,
    /// Version of the project.
    pub version: String,
    /// Version of ESP-IDF.
    pub idf_version: String,
    /// Digest of the ELF file.
    pub elf_sha256: String,
}
