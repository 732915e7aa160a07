//! One run of one unit, as `--json` prints it and `--out` keeps it.
//!
//! Durations are milliseconds; every other measurement names its unit. Digests are SHA-256 as lowercase hex.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::verdict::{Outcome, RadioProof, Verdict};

/// The form that is read here; a record of a later one is refused.
pub const SCHEMA: u32 = 1;

/// One run of one unit.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// [`SCHEMA`].
    pub schema: u32,
    /// A UUID, unique for this run.
    pub run_id: String,
    /// Name of the profile.
    pub profile: String,
    /// URL of the device, as given.
    pub device: String,
    /// The batch of units, when named.
    pub lot: Option<String>,
    /// Who ran it, when named.
    pub operator: Option<String>,
    /// When the run began: RFC 3339, UTC.
    pub started_at: String,
    /// How long it took.
    pub duration_ms: u64,
    /// The judgement; `None` after `goldline provision`, which has none.
    pub verdict: Option<Verdict>,
    /// Why it is not a PASS.
    pub diagnosis: Option<Diagnosis>,
    /// The unit, as far as it was identified.
    pub unit: Unit,
    /// The runs of this unit before it that ended as ERROR (`--retry-errors`), the first one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retries: Vec<EarlierRun>,
    /// What was made wrong on purpose; `None` where nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulation: Option<Simulation>,
    /// Version of Goldline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goldline: Option<String>,
    /// Digest of the profile's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_digest: Option<String>,
    /// What was flashed besides the unit's own data, and what it was updated to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
    /// What the application says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<Firmware>,
    /// Digest of the reviewed NVS image that the unit's was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub golden: Option<String>,
    /// Digest of the root certificate (DER) of the bench's CA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bench_ca: Option<String>,
    /// Which station, by the name in its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub station: Option<String>,
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
    /// What lay between the unit and its services; `None` in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// What the unit was told to reach, and who answered there.
    pub endpoints: Vec<Endpoint>,
    /// What the unit is shipped with, where that is other than what it is tested with (`test_then_final`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipped: Option<Shipped>,
    /// The stages of the run, in order.
    pub stages: Vec<Stage>,
    /// The checks, in the profile's order.
    pub checks: Vec<Check>,
    /// The checks of the profile that the device could not prove, and that the command went without by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_proven: Vec<NotProven>,
}

impl Record {
    /// The check of that name, such as `mqtt_connect`; `None` where the profile has it not.
    pub fn check(&self, id: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.id == id)
    }
}

/// Why something is not good.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Stable, such as `wifi.wrong_password`; `goldline codes CODE` says more.
    pub code: String,
    /// What was seen, with the actual and the expected value.
    pub message: String,
    /// What to do next.
    pub action: String,
}

/// The unit under test.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Unit {
    /// Base MAC, such as `24:0a:c4:00:01:10`.
    pub mac: Option<String>,
    /// The addresses of its interfaces, by `station`, `access_point`, `bluetooth` and `ethernet`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub interfaces: BTreeMap<String, String>,
    /// Chip name and revision, such as `esp32 v3.0`.
    pub chip: Option<String>,
    /// Flash size in bytes.
    pub flash_size: Option<u32>,
    /// Public identifiers, by name.
    pub ids: BTreeMap<String, String>,
    /// The secrets that it has in common with other units, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared_secrets: Vec<String>,
    /// The module that it took the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Replacement>,
}

/// A module that another takes the place of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Replacement {
    /// Base MAC of the module that goes.
    pub mac: String,
    /// Why.
    pub because: String,
}

/// A run that ended as ERROR, and was made again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EarlierRun {
    /// Its own record has this id.
    pub run_id: String,
    /// Why it was no verdict on the unit.
    pub code: String,
}

/// Faults of a simulated unit or bench, and what repeats them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Simulation {
    /// Their names.
    pub faults: Vec<String>,
    /// With `--seed` and this number, they show again where and when they did.
    pub seed: u64,
}

/// One image.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Image {
    /// `bootloader`, `partition_table`, `app`, or `update` and its number from 1 on.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its digest.
    pub sha256: String,
}

/// What ESP-IDF puts into an application.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Firmware {
    /// Name of the project.
    pub project: String,
    /// Version of the project.
    pub version: String,
    /// Version of ESP-IDF.
    pub idf_version: String,
    /// Digest of the ELF file.
    pub elf_sha256: String,
}

/// The network of a run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Network {
    /// Its name, such as `air`.
    pub name: String,
    /// What is known of the unit's radio after this run.
    pub radio: RadioProof,
}

/// A check that a run went without.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NotProven {
    /// Its name.
    pub id: String,
    /// Why nothing of it can be proven on that device.
    pub because: String,
}

/// One service of the plan: what was written into the unit, and what answered during the run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Endpoint {
    /// Which service, such as `mqtt`.
    pub service: String,
    /// The address that the unit holds when the run ends.
    pub shipped: String,
    /// `redirected`, `test_then_final` or `bench`.
    pub policy: String,
    /// What answered.
    pub answered_by: String,
}

/// What a unit holds when its run ends, and how it was left.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Shipped {
    /// `final`, `bench_values` or `unknown`: only the first may be shipped.
    pub holds: String,
    /// `held` or `may_have_booted`.
    #[serde(rename = "final")]
    pub left: String,
    /// How it is held, or why it may have started.
    pub why: String,
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

/// One part of the run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stage {
    /// Its name, such as `read_back`.
    pub name: String,
    /// How long it took, all attempts together.
    pub duration_ms: u64,
    /// How often it was tried.
    pub attempts: u32,
}

/// One item of the QC list.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Check {
    /// Its name, such as `wifi_join`.
    pub id: String,
    /// What came of it.
    pub outcome: Outcome,
    /// Why it is not a pass.
    pub diagnosis: Option<Diagnosis>,
    /// What was measured.
    pub measurements: Vec<Measurement>,
    /// Facts that carry the outcome, in words.
    pub evidence: Vec<String>,
}

impl Check {
    /// The number that was measured under that name; `None` for a word, and for what was never measured.
    pub fn measured(&self, name: &str) -> Option<f64> {
        let found = self.measurements.iter().find(|measurement| measurement.name == name);
        found.and_then(|measurement| measurement.value.as_f64())
    }
}

/// One measured value.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Measurement {
    /// What was measured, such as `rssi`.
    pub name: String,
    /// The value; `null` when it was never set.
    pub value: Value,
    /// Its unit, such as `dBm`; empty for a count or a word.
    pub unit: String,
    /// Smallest good value.
    pub lower: Option<f64>,
    /// Largest good value.
    pub upper: Option<f64>,
    /// Whether it lies within its limits.
    pub outcome: Outcome,
}
