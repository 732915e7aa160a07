//! The QC list as test cases: one for each profile and check, such as `espvault::nvs_readback`.
//!
//! The profiles are read when the cases are listed, so that a new file shows up without a rebuild.
//! `GOLDLINE_DEVICE` names the unit (the simulator unless set), `GOLDLINE_PROFILE` its profile,
//! `GOLDLINE_PROFILES` a folder of more profiles. Must not know how a unit is run: it starts the
//! `goldline` program and reads its record.

#[path = "qc/mod.rs"]
mod qc;

use std::process::ExitCode;

use libtest_mimic::{Arguments, run};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    run(&arguments, qc::trials(variable)).exit_code()
}

/// Of this process's environment; an empty one counts as none.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
