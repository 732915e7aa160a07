//! What people and programs read of a run: the terminal while it lasts and at its end, and files.
//!
//! Reads events and records only.

mod files;
mod junit;
mod terminal;

pub use files::{RunFiles, serial_log};
pub use junit::junit_report;
pub use terminal::{Progress, RunProgress, verdict_text};
