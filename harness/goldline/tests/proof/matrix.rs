//! Every fault on every product, each in several places.

use super::{
    meaning::{self, Meaning, wrong},
    sweep::{PRODUCTS, each, faults, least, run, said},
};

const SEEDS: u64 = 3;
/// Seconds that a run waits for what never comes.
const LONGEST: u64 = 6;
/// A sound unit that is slow has all the time that its profile gives it.
const WHOLE: u64 = u64::MAX;

#[test]
#[ignore = "nightly: all faults × products × seeds"]
fn every_fault_of_every_product_is_told_for_what_it_is() {
    let faults = faults();
    let mut jobs = Vec::new();
    for product in PRODUCTS {
        for fault in &faults {
            jobs.extend((0..SEEDS).map(|seed| (product, fault.clone(), seed)));
        }
    }
    let figures = each(&jobs, |(product, fault, seed), figures| {
        let more = ["--fault".to_owned(), fault.clone(), "--seed".to_owned(), seed.to_string()];
        let meaning = meaning::of(fault);
        let longest = if meaning == Meaning::Harmless { WHOLE } else { LONGEST };
        let record = run(product, longest, &more);
        let mut figures = figures.lock().expect("it counts only");
        let Some(record) = record else { return figures.count("refused") };
        let (verdict, code) = said(&record);
        figures.count("runs");
        figures.count(&verdict);
        if let Some(how) = wrong(meaning, &verdict, &code) {
            let message = &record["diagnosis"]["message"];
            figures.blame(how, format!("{product} {fault} {seed}: {verdict} {code} {message}"));
        }
    });
    assert!(figures.of("runs") > least(1000), "{}", figures.of("runs"));
    figures.settle("the matrix");
}
