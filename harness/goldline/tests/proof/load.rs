//! Sound units on a machine that compiles something large beside them.

use std::{
    fmt::Write,
    process::{Command, Stdio},
};

use goldline::process::ChildGuard;

use super::sweep::{PRODUCTS, each, said};
use crate::end_to_end::program::Station;

const RUNS: usize = 360;
/// Of one command, when it serves several.
const NEST: usize = 8;
/// A compiler needs minutes for so many functions.
const FUNCTIONS: usize = 60_000;

/// Compiles until it is dropped.
fn compiler(station: &Station) -> Option<ChildGuard> {
    let mut program = String::new();
    for number in 0..FUNCTIONS {
        writeln!(
            program,
            "pub fn f{number}(x: &[u64]) -> Vec<String> {{ x.iter().map(|y| format!(\"{{}}\", y.wrapping_mul({number}))).collect() }}"
        )
        .expect("into memory");
    }
    let source = station.write("large.rs", program);
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    command.args(["--crate-type", "rlib", "-O", "--out-dir"]).arg(station.path("")).arg(source);
    ChildGuard::spawn(command.stdout(Stdio::null()).stderr(Stdio::null())).ok()
}

#[test]
#[ignore = "nightly: sound units under load"]
fn a_busy_machine_is_no_defect_of_a_unit() {
    let busy = Station::new();
    let Some(_compilers) = compiler(&busy) else {
        eprintln!("skipped: no rustc to keep this machine busy");
        return;
    };
    let jobs: Vec<usize> = (0..RUNS).collect();
    let figures = each(&jobs, |number, figures| {
        let product = PRODUCTS[number % PRODUCTS.len()];
        let station = Station::new();
        let eight = number % 16 == 0;
        let devices = (0..NEST).map(|unit| format!("simulator:?mac=24:0a:c4:00:02:{unit:02x}"));
        let arguments = ["run", product, "--json"].into_iter().map(str::to_owned);
        let devices = devices.take(if eight { NEST } else { 0 });
        let devices = devices.flat_map(|device| ["--device".to_owned(), device]);
        let ended = station.unit(arguments.chain(devices));
        let said = match eight {
            true => ended.json().as_array().expect("records").iter().map(said).collect(),
            false => vec![said(&ended.json())],
        };
        let mut figures = figures.lock().expect("it counts only");
        for (verdict, code) in said {
            figures.count("runs");
            figures.count(&verdict);
            if verdict != "PASS" {
                figures.blame("overkill", format!("{product} {number}: {verdict} {code}"));
            }
        }
    });
    figures.settle("the busy machine");
}
