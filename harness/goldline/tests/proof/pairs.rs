//! A bad unit on a bad bench: whatever is said first, it is one of the two, and never a PASS.

use super::{
    meaning::{self, Meaning},
    sweep::{Draw, PRODUCTS, each, faults, least, run, said},
};

const PAIRS: usize = 400;
const LONGEST: u64 = 5;

#[test]
#[ignore = "nightly: pairs of faults"]
fn a_bad_unit_on_a_bad_bench_is_one_of_both() {
    let faults = faults();
    let of_unit: Vec<&String> =
        faults.iter().filter(|fault| matches!(meaning::of(fault), Meaning::Unit(_))).collect();
    let of_bench: Vec<&String> =
        faults.iter().filter(|fault| meaning::of(fault) == Meaning::Bench).collect();
    let mut draw = Draw(12);
    // Many are refused, for want of the service or of what shows the fault.
    let jobs: Vec<_> = (0..PAIRS * 4)
        .map(|_| {
            let product = PRODUCTS[draw.below(PRODUCTS.len())];
            let unit = of_unit[draw.below(of_unit.len())].clone();
            (product, unit, of_bench[draw.below(of_bench.len())].clone())
        })
        .collect();
    let figures = each(&jobs, |(product, unit, bench), figures| {
        if figures.lock().expect("it counts only").of("runs") >= least(PAIRS) {
            return;
        }
        let more = ["--fault", unit, "--fault", bench].map(str::to_owned);
        let record = run(product, LONGEST, &more);
        let mut figures = figures.lock().expect("it counts only");
        let Some(record) = record else { return figures.count("refused") };
        let (verdict, code) = said(&record);
        figures.count("runs");
        figures.count(&verdict);
        let Meaning::Unit(codes) = meaning::of(unit) else { unreachable!("it was chosen so") };
        let how = match verdict.as_str() {
            "PASS" => "escape",
            "FAIL" if !codes.contains(&code.as_str()) => "wrong cause",
            _ => return,
        };
        let message = &record["diagnosis"]["message"];
        figures.blame(how, format!("{product} {unit} {bench}: {verdict} {code} {message}"));
    });
    assert!(figures.of("runs") >= least(300), "{}", figures.of("runs"));
    figures.settle("the pairs");
}
