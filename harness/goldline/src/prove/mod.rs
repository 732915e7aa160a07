//! How good a product's test is: bad units of it, one defect each, run by the profile's own plan and checks, and which
//! of them would have passed.
//!
//! A mutant changes flash, firmware or what surrounds the unit, and never what a check sees. Good units run in between.
//! Judges nothing by itself: a verdict is the run's, and here it is only compared with what was wrong.
//!
//! | files | what they hold |
//! | --- | --- |
//! | `mutant`, `catalogue` | one way to be bad; all of a product's |
//! | `surroundings` | the mutants that every product can have: the simulator's faults |
//! | `trial`, `fate` | one unit run, and what its verdict is worth |
//! | `draw` | which mutants come next |
//! | `gate`, `campaign` | many at a time, within a budget |
//! | `tally`, `bound`, `proof` | what is counted of them, and what reports are made of |
//! | `accepted` | survivors that a profile knows of |
//! | `report` | what people read of it |

mod accepted;
mod bound;
mod campaign;
mod catalogue;
mod draw;
mod fate;
mod gate;
mod mutant;
mod proof;
mod report;
mod surroundings;
mod tally;
mod trial;

pub use bound::{CONFIDENCE, upper_bound, upper_bound_of};
pub use campaign::{Campaign, CampaignError, prove};
pub use catalogue::{Catalogue, Family, NoSuchMutant, Population};
pub use fate::Fate;
pub use mutant::{Change, Kind, Must, Mutant};
pub use proof::{
    ACCEPTABLE_SHARE, AcceptedInVain, Bounds, Case, CheckResult, GoodUnits, KindResult, Proof,
    ProofOutcome, SCHEMA, StageTime, Subject, Survivor, Tally,
};
pub use report::{proof_page, proof_text};

use crate::profile::{AppSource, Profile};

/// Every mutant that is known of a product.
pub fn catalogue_of(profile: &Profile) -> Catalogue {
    let mut catalogue = Catalogue::default();
    surroundings::add(&mut catalogue, profile);
    catalogue
}

/// Whose defects the mutants of a product are.
pub fn subject_of(profile: &Profile) -> Subject {
    match &profile.images.app {
        AppSource::Model { name } => Subject::Description { model: name.clone() },
        AppSource::File(file) => Subject::Image { path: file.path().display().to_string() },
    }
}
