//! Goldline's records, for tests that run the program and read what came of a unit.
//!
//! Knows the record's form and the program's exit codes, and nothing of how a run is made: a test of a firmware
//! gets two crates for it and not the harness. What a later Goldline adds to a record is passed over.
//!
//! ```no_run
//! use goldline_record::Goldline;
//!
//! let record = Goldline::new("goldline").run("profile.toml").record().expect("it ran");
//! record.assert_pass();
//! assert_eq!(record.check("wifi_join").and_then(|check| check.measured("rssi")), Some(-48.0));
//! ```

mod expectation;
mod program;
mod record;
mod verdict;

pub use expectation::NotPassed;
pub use program::{Goldline, Run, RunError};
pub use record::{
    Check, Diagnosis, EarlierRun, Endpoint, Firmware, Flashed, Image, Measurement, Network,
    NotProven, Record, Replacement, SCHEMA, Simulation, Stage, Transfer, Unit,
};
pub use verdict::{Outcome, RadioProof, Verdict};
