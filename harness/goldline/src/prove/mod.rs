//! How good a product's test is: bad units of it, one defect each, run by the profile's own plan and checks, and which
//! of them would have passed.
//!
//! A mutant changes flash, firmware or what surrounds the unit, and never what a check sees. Good units run in between.
//! Judges nothing by itself: a verdict is the run's, and here it is only compared with what was wrong.
//!
//! | files | what they hold |
//! | --- | --- |
//! | `mutant`, `catalogue` | one way to be bad; all of a product's |
//! | `firmware` | the mutants of what a description says of the product's firmware |
//! | `good_unit`, `region`, `nvs` | what lies in the flash of a good unit; the mutants that damage it, and its NVS |
//! | `security` | the mutants of its eFuses |
//! | `surroundings` | the mutants that every product can have: the simulator's faults |
//! | `trial`, `fate` | one unit run, and what its verdict is worth |
//! | `draw` | which mutants come next |
//! | `asked`, `gate`, `campaign` | many at a time, within a budget |
//! | `tally`, `bound`, `proof` | what is counted of them, and what reports are made of |
//! | `accepted` | survivors that a profile knows of |
//! | `report` | what people read of it |

use std::sync::Arc;

mod accepted;
mod asked;
mod bound;
mod campaign;
mod catalogue;
mod draw;
mod fate;
mod firmware;
mod gate;
mod good_unit;
mod mutant;
mod nvs;
mod proof;
mod region;
mod report;
mod security;
mod surroundings;
mod tally;
mod trial;

pub use asked::Campaign;
pub use bound::{CONFIDENCE, upper_bound, upper_bound_of};
pub use campaign::{CampaignError, prove};
pub use catalogue::{Catalogue, Family, NoSuchMutant, Population};
pub use fate::Fate;
pub use firmware::{DescriptionError, FirmwareMutants, Untold, firmware_mutants};
pub use good_unit::NoGoodUnit;
pub use mutant::{Change, Kind, Must, Mutant};
pub use proof::{
    ACCEPTABLE_SHARE, AcceptedInVain, Bounds, Case, CheckResult, GoodUnits, KindResult, Proof,
    ProofOutcome, SCHEMA, StageTime, Subject, Survivor, Tally,
};
pub use report::{proof_page, proof_text};
pub use surroundings::codes_of;

use tokio_util::sync::CancellationToken;

use good_unit::GoodUnit;

use crate::{
    profile::{AppSource, Profile},
    station::Specimens,
    store::StoreError,
};

/// No mutants of a product can be made.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// A description of its firmware cannot be read.
    #[error(transparent)]
    Description(#[from] DescriptionError),
    /// No good unit can be looked at.
    #[error(transparent)]
    GoodUnit(#[from] NoGoodUnit),
    /// Nobody can certify what is forged.
    #[error(transparent)]
    Authority(#[from] StoreError),
}

/// Every mutant that is known of a product.
///
/// # Errors
/// [`CatalogueError`] says of what none can be made.
pub async fn catalogue_of(
    specimens: &Specimens,
    cancel: &CancellationToken,
) -> Result<Catalogue, CatalogueError> {
    let profile = specimens.profile();
    let mut catalogue = Catalogue::default();
    surroundings::add(&mut catalogue, profile);
    let firmware = firmware_mutants(profile)?;
    catalogue.count(firmware.mutants);
    catalogue.untold = firmware.untold;
    let good = GoodUnit::usual(specimens, cancel).await?;
    region::add(&mut catalogue, profile, &good);
    let another = GoodUnit::another(specimens, cancel).await?;
    let authority = Arc::new(specimens.authority()?);
    security::add(&mut catalogue, profile, specimens.burnt());
    nvs::add(&mut catalogue, profile, &good, another.as_ref(), &authority);
    Ok(catalogue)
}

/// Whose defects the mutants of a product are.
pub fn subject_of(profile: &Profile) -> Subject {
    match &profile.images.app {
        AppSource::Model { name } => Subject::Description { model: name.clone() },
        AppSource::File(file) => Subject::Image { path: file.path().display().to_string() },
    }
}
