//! The jig's own programs: what holds a unit, switches it on and measures it, beside what flashes it.
//!
//! A program is told what it needs and answers with its exit code or in JSON; it never hears a secret, and never
//! outlives the run. Must not know plans, checks or ports.

mod instrument;
mod nest;

pub use instrument::{NoReading, Question, Reading, ask, shortened, vouch};
pub use nest::{Lamp, NestError, bear_witness, make_ready, take_back, taking_back};
