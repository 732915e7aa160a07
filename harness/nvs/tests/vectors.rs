//! The codec against images that it did not make, and against damage that is made here: a case for
//! each, named after it.
//!
//! The project's own vectors always run: CSVs and keys in fixtures/nvs, the images of Espressif's
//! generator in golden/nvs-vectors, damage from a table. Those of others run where they are, and
//! count as ignored where they are not.

#[path = "vectors/codes.rs"]
mod codes;
#[path = "vectors/damage.rs"]
mod damage;
#[path = "vectors/damaged.rs"]
mod damaged;
#[path = "vectors/esp_idf.rs"]
mod esp_idf;
#[path = "vectors/generated.rs"]
mod generated;
#[path = "vectors/index.rs"]
mod index;
#[path = "vectors/others.rs"]
mod others;
#[path = "vectors/recovery.rs"]
mod recovery;

use std::process::ExitCode;

use libtest_mimic::{Arguments, run};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = [
        generated::trials(),
        damaged::trials(),
        codes::trials(),
        recovery::trials(),
        esp_idf::trials(),
    ];
    run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}
