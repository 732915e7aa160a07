//! The jig's own programs: what measures a unit, beside what flashes it.
//!
//! A program is told what it needs in JSON and answers in JSON; it never hears a secret, and never outlives the
//! run. Must not know plans, checks or ports.

mod instrument;

pub use instrument::{NoReading, Question, Reading, ask, vouch};
