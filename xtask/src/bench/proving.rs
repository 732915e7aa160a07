//! What a bad unit costs: many of them, with good ones in between, for as long as they are given.

use std::path::Path;

use serde_json::Value;

use super::{
    cases::{Limits, Row},
    measure::Sample,
};

/// Of ten thousand in an hour.
const UNIT_S: f64 = 0.36;
/// The largest good part of a budget that is missed.
const MISSED: f64 = 0.1;
const BUDGET_S: f64 = 30.0;
const LONG_S: f64 = 90.0;

/// The rows. A product whose proof finds a survivor has no figure.
pub fn rows(goldline: &Path, folder: &Path) -> Vec<Row> {
    let goldline = goldline.display().to_string();
    let prove = [goldline.as_str(), "prove", "espvault", "--json", "--budget"];
    let (short, long) = (format!("{BUDGET_S}s"), format!("{LONG_S}s"));
    let short = [&prove[..], &[short.as_str()]].concat();
    let long = [&prove[..], &[long.as_str()]].concat();
    let of_unit = Limits { wall_s: Some(UNIT_S), peak_bytes: Some(600e6) };
    let budget = |seconds| Limits { wall_s: Some(seconds * (1.0 + MISSED)), peak_bytes: None };
    vec![
        Row::new("goldline prove espvault: a unit", folder, &short).reads(of_one).limits(of_unit),
        // What it keeps of a unit would show in its memory.
        Row::new("  of three times as many", folder, &long).reads(of_one).limits(of_unit),
        Row::new("  the budget of 30 s", folder, &short)
            .reads(|sample| Ok(sample.wall_s))
            .limits(budget(BUDGET_S)),
    ]
}

/// Seconds for one unit, good or bad.
fn of_one(sample: &Sample) -> Result<f64, String> {
    let proof: Value = serde_json::from_str(&sample.stdout)
        .map_err(|error| format!("it printed no report: {error}"))?;
    let kinds = proof["kinds"].as_array().into_iter().flatten();
    let bad = kinds.flat_map(|kind| [&kind["counted"]["ran"], &kind["drawn"]["ran"]]);
    let bad: u64 = bad.filter_map(Value::as_u64).sum();
    let good = proof["good"]["runs"].as_u64().unwrap_or_default();
    match bad + good {
        0 => Err("no unit ran".to_owned()),
        units => Ok(sample.wall_s / units as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_counted_whatever_they_are() {
        let stdout = r#"{"good":{"runs":4},"kinds":[{"counted":{"ran":3},"drawn":{"ran":2}},{"counted":{"ran":1},"drawn":{"ran":0}}]}"#;
        let sample =
            Sample { wall_s: 30.0, cpu_s: 1.0, peak_bytes: 1.0, stdout: stdout.to_owned() };
        assert_eq!(of_one(&sample), Ok(3.0));
        assert!(of_one(&Sample { stdout: "{}".to_owned(), ..sample }).is_err());
    }
}
