//! Everything about one run, written once; stores and reports only read it.
//!
//! Must not know how a run is made. Times are UTC; durations are milliseconds; every other
//! measurement carries its unit.

mod code;
mod diagnosis;
mod measurement;
mod panic;
mod provenance;
mod verdict;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use time::OffsetDateTime;

use crate::identity::Mac;

pub use code::{Area, Code, UnknownCode};
pub use diagnosis::Diagnosis;
pub use measurement::{Limits, Measurement};
pub use panic::{Panic, PanicFrame};
pub use provenance::{FirmwareRecord, Flashed, ImageRecord, Provenance, Transfer};
pub use verdict::{Outcome, UnknownWord, Verdict};

/// The version of the record's form; raised when a reader of older records would misread a new one.
pub const SCHEMA: u32 = 1;

/// One run of one unit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// [`SCHEMA`] at the time of writing.
    pub schema: u32,
    /// Unique for this run.
    pub run_id: uuid::Uuid,
    /// Name of the profile.
    pub profile: String,
    /// URL of the device, as given.
    pub device: String,
    /// The batch of units, when named.
    pub lot: Option<String>,
    /// Who ran it, when named.
    pub operator: Option<String>,
    /// When the run began.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// How long it took.
    pub duration_ms: u64,
    /// The judgement; `None` after `provision`, which has none.
    pub verdict: Option<Verdict>,
    /// Why it is not a PASS.
    pub diagnosis: Option<Diagnosis>,
    /// Where the unit crashed, of those that run machine code; `None` in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub panic: Option<Panic>,
    /// The unit, as far as it was identified.
    pub unit: Unit,
    /// The runs of this unit in the same command that ended as ERROR, the first one first: this run took their
    /// place (`--retry-errors`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retries: Vec<EarlierRun>,
    /// What was made wrong on purpose; `None` where nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulation: Option<Simulation>,
    /// What the run was made of.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// What lay between the unit and its services, and what it proved; `None` in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkRecord>,
    /// What the unit was told to reach, and who answered there.
    pub endpoints: Vec<EndpointRecord>,
    /// What the unit is shipped with, where that is other than what it is tested with (`test_then_final`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipped: Option<Shipped>,
    /// The stages of the run, in order.
    pub stages: Vec<Stage>,
    /// The checks, in the profile's order.
    pub checks: Vec<CheckRecord>,
    /// The checks of the profile that the device could not prove, and that the command went without by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_proven: Vec<NotProven>,
}

impl Record {
    /// Takes a verdict back that could not be kept: nobody could look it up later.
    pub fn withdraw(&mut self, why: &str) {
        let came_to = self.verdict.map_or("its end", Verdict::as_str);
        let message = format!("the run came to {came_to}, which could not be kept: {why}");
        self.verdict = self.verdict.map(|_| Verdict::Error);
        self.diagnosis = Some(Diagnosis::new(Code::StationState, message));
    }
}

/// The unit under test.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Unit {
    /// Base MAC, read from the chip.
    pub mac: Option<Mac>,
    /// The addresses that the chip's interfaces have by ESP-IDF's rules, by `station`, `access_point`,
    /// `bluetooth` and `ethernet`, as far as it has them; none in records of earlier versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub interfaces: BTreeMap<String, Mac>,
    /// Chip name and revision, such as `ESP32 v3.0`.
    pub chip: Option<String>,
    /// Flash size in bytes.
    pub flash_size: Option<u32>,
    /// Public identifiers, by name.
    pub ids: BTreeMap<String, String>,
    /// The secrets that it has in common with other units, by name, because its profile says so.
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
    pub mac: Mac,
    /// Why, in someone's words.
    pub because: String,
}

/// A run that ended as ERROR, and was made again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EarlierRun {
    /// Its own record has this id.
    pub run_id: uuid::Uuid,
    /// Why it was no verdict on the unit.
    pub code: Code,
}

/// Faults of a simulated unit or bench, and what repeats them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Simulation {
    /// Their names.
    pub faults: Vec<String>,
    /// With `--seed` and this number, they show again where and when they did.
    pub seed: u64,
}

/// The network of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NetworkRecord {
    /// Its name, such as `air`.
    pub name: String,
    /// What is known of the unit's radio after this run.
    pub radio: RadioProof,
}

/// Whether the unit was seen to join its network by radio.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RadioProof {
    /// A check that only a radio passes has passed.
    Proven,
    /// It was not; on some networks it cannot be.
    NotProven,
}

/// One service of the plan: what was written into the unit, and what answered during the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EndpointRecord {
    /// Which service, such as `mqtt`.
    pub service: String,
    /// The address that the unit holds when the run ends.
    pub shipped: String,
    /// `redirected`, `test_then_final` or `bench`.
    pub policy: String,
    /// What answered: `built-in bench`, or the URL of a broker that was already there.
    pub answered_by: String,
    /// Why the bench might answer for that name, in someone's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept_redirect: Option<String>,
}

/// What a unit holds when its run ends, and how it was left.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Shipped {
    /// Which of its two sets of values.
    pub holds: Holds,
    /// Whether anything can have started it since.
    #[serde(rename = "final")]
    pub left: LeftAs,
    /// How it is held, or why it may have started.
    pub why: String,
}

/// Which of its two sets of values a unit holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    /// What it is shipped with: every byte of its flash was read back or digested.
    Final,
    /// What it was tested with: it must not be shipped.
    BenchValues,
    /// Parts of either: it must not be shipped.
    Unknown,
}

/// How a unit was left.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftAs {
    /// Where nothing starts it.
    Held,
    /// Nobody can say that it did not start.
    MayHaveBooted,
}

/// One part of the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stage {
    /// A step's name, such as `write_flash`.
    pub name: String,
    /// How long it took, all attempts together.
    pub duration_ms: u64,
    /// How often it was tried; more than one is worth a look.
    pub attempts: u32,
}

/// A check that a run went without.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NotProven {
    /// Its name.
    pub id: String,
    /// Why nothing of it can be proven there.
    pub because: String,
}

/// One item of the QC list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckRecord {
    /// Name of the check, such as `wifi_join`.
    pub id: String,
    /// What came of it.
    pub outcome: Outcome,
    /// Why it is not a pass.
    pub diagnosis: Option<Diagnosis>,
    /// What was measured.
    pub measurements: Vec<Measurement>,
    /// Facts that carry the outcome, in words, without secrets.
    pub evidence: Vec<String>,
}
