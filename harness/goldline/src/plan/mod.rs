//! What will be done to a unit, as plain data: profile → ordered steps.
//!
//! A plan holds symbols, never values: `{unit.mac}` or `{mqtt_password}` are bound once, by the
//! engine, into a [`BoundPlan`]. Making a plan touches nothing. Must not know how a step is done.

mod bindings;
mod bound;
mod display;
mod factory_image;
mod given;
mod qc;
mod text;
mod units;

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::{
    image::FlashImages,
    profile::{CommandRoundTrip, Method, Partition, Profile},
};

pub use bindings::{BindingError, Bindings, Identity, Origin, Sources};
pub use bound::{BoundBroker, BoundPlan, BoundWifi, MaterialError, RegionImage};
pub use given::{Given, GivenError};
pub use text::Text;
pub use units::{UnitRow, Units, UnitsError, UnitsProblem};

/// Which part of the work is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Provision, then QC.
    Run,
    /// Provision only; there is no verdict.
    Provision,
    /// QC only, on a unit that was provisioned before.
    Check,
}

/// An ordered list of steps for one product.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The product.
    pub profile: Arc<Profile>,
    /// Which part of the work.
    pub scope: Scope,
    /// In order.
    pub steps: Vec<Step>,
    /// The reviewed NVS image that a declared identity must give, when there is one to compare with.
    pub golden: Option<Arc<[u8]>>,
}

/// One thing to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Enter the download mode; read chip, MAC and flash size; bind `unit.mac`.
    Identify,
    /// Erase the whole flash, so that nothing of an earlier life stays.
    Erase,
    /// Write one region.
    Write(Region),
    /// Digest regions and read the NVS partition back, at this moment.
    CollectEvidence {
        /// Before or after the unit ran.
        moment: Moment,
        /// What is digested.
        digests: Vec<Region>,
        /// The NVS partition that is read back whole.
        nvs: Region,
    },
    /// Judge the evidence so far; a unit with bad flash is not booted.
    Gate,
    /// Reset into the application and wait for its first line.
    Boot,
    /// Wait until the unit has an address.
    AwaitJoin,
    /// Wait until the broker has accepted the unit and granted its subscriptions.
    AwaitBroker,
    /// Send a command over the broker and wait for the answer.
    Command(CommandRoundTrip),
}

/// When evidence is taken; firmware writes to flash when it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// What the bench wrote, untouched.
    BeforeBoot,
    /// What the firmware left.
    AfterBoot,
}

/// A part of the flash and what belongs there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Region {
    /// The partition's name, or `bootloader` or `partition_table`.
    pub name: String,
    /// From the start of the flash.
    pub offset: u32,
    /// How much fits, in bytes.
    pub capacity: u32,
    /// What belongs there.
    pub content: Content,
}

/// What belongs into a region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    /// The second-stage bootloader.
    Bootloader,
    /// The profile's partition table.
    PartitionTable,
    /// The application.
    App,
    /// The unit's own NVS image.
    Nvs,
}

impl Plan {
    /// Makes the plan of a profile. Pure: no device, no file, no clock.
    pub fn new(profile: Arc<Profile>, scope: Scope) -> Self {
        let mut steps = vec![Step::Identify];
        if scope != Scope::Check {
            steps.extend(match profile.method {
                Method::FactoryImage => factory_image::steps(&profile),
            });
        }
        steps.extend(qc::evidence(&profile));
        if scope != Scope::Provision {
            steps.extend(qc::trial(&profile));
        }
        Self { profile, scope, steps, golden: None }
    }

    /// Tells one version of the product from another: what is flashed, and which keys are written.
    /// SHA-256 as lowercase hex.
    pub fn product_digest(&self, images: &FlashImages) -> String {
        let mut digest = Sha256::new();
        for image in [&images.bootloader, &images.partition_table, &images.app] {
            digest.update(image.len().to_le_bytes());
            digest.update(image);
        }
        digest.update(format!("{:?}", self.profile.nvs));
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The regions that no firmware may change, which are digested.
    pub fn immutable_regions(&self) -> Vec<Region> {
        qc::immutable_regions(&self.profile)
    }

    /// The regions that the plan writes or compares, in flash order of their writing.
    pub fn regions(&self) -> Vec<Region> {
        let mut regions = qc::immutable_regions(&self.profile);
        regions.push(qc::nvs_region(&self.profile));
        regions
    }
}

impl Step {
    /// The stage's name in records: the step's, and the region that it writes.
    pub fn stage(&self) -> String {
        match self {
            Self::Write(region) => format!("{}_{}", self.name(), region.name),
            _ => self.name().to_owned(),
        }
    }

    /// The step's short name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Identify => "identify",
            Self::Erase => "erase",
            Self::Write(_) => "write",
            Self::CollectEvidence { moment: Moment::BeforeBoot, .. } => "read_back",
            Self::CollectEvidence { moment: Moment::AfterBoot, .. } => "read_back_after_boot",
            Self::Gate => "gate",
            Self::Boot => "boot",
            Self::AwaitJoin => "wifi_join",
            Self::AwaitBroker => "mqtt_connect",
            Self::Command(_) => "mqtt_command",
        }
    }
}

/// The region of a whole partition.
fn partition_region(partition: &Partition, content: Content) -> Region {
    Region {
        name: partition.name.clone(),
        offset: partition.offset,
        capacity: partition.size,
        content,
    }
}
