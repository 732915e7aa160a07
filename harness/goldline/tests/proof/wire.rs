//! Sound units on wires that are late or turn a bit over.

use super::sweep::{Draw, PRODUCTS, each, least, run, said};

const FAULTS: [&str; 8] = [
    "wire.late_once",
    "wire.late",
    "wire.bit",
    "wire.bit_digest",
    "wire.bit_mac",
    "wire.bit_console",
    "wire.bit_request",
    "wire.bit_typed",
];
const RUNS: usize = 600;
/// Late answers must find someone who still waits.
const LONGEST: u64 = 60;

#[test]
#[ignore = "nightly: faults of the wire"]
fn no_fault_of_a_wire_is_the_units() {
    let mut draw = Draw(14);
    let jobs: Vec<_> = (0..RUNS)
        .map(|number| {
            let fault = FAULTS[number % FAULTS.len()];
            (PRODUCTS[draw.below(PRODUCTS.len())], fault, draw.below(100_000))
        })
        .collect();
    let figures = each(&jobs, |(product, fault, seed), figures| {
        let seed = seed.to_string();
        let more = ["--fault", fault, "--seed", &seed].map(str::to_owned);
        // What has no console is not typed to.
        let Some(record) = run(product, LONGEST, &more) else {
            return figures.lock().expect("it counts only").count("refused");
        };
        let (verdict, code) = said(&record);
        let mut figures = figures.lock().expect("it counts only");
        figures.count("runs");
        figures.count(&verdict);
        let stages = record["stages"].as_array().into_iter().flatten();
        if stages.filter_map(|stage| stage["attempts"].as_u64()).any(|attempts| attempts > 1) {
            figures.count("needed a second attempt");
        }
        let what = format!("{product} {fault} {seed}: {verdict} {code} {:#}", record["diagnosis"]);
        let left_a_secret = *fault == "wire.bit_typed" && code == "port.garbled";
        if left_a_secret && verdict == "ERROR" {
            figures.count("left a secret");
        } else if verdict != "PASS" {
            figures.blame(if verdict == "FAIL" { "blame" } else { "overkill" }, what);
        } else if record["unit"]["mac"] != "24:0a:c4:00:01:10" {
            figures.blame("wrong identity", what);
        }
    });
    assert!(figures.of("runs") >= least(500), "{}", figures.of("runs"));
    figures.settle("the wire");
}
