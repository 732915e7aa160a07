//! Turns a profile and what is known of one unit into the steps of a run.
//!
//! Must not do anything to a unit: a plan is plain data that can be printed.

mod bindings;
mod given;
mod text;
mod units;

pub use bindings::{BindingError, Bindings, Identity, Origin, Sources};
pub use given::{Given, GivenError};
pub use text::Text;
pub use units::{UnitRow, Units, UnitsError, UnitsProblem};
