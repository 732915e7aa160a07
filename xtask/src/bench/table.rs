//! Prints rows as a table: median (smallest … largest), and the ratio to a limit or a reference.

use super::{
    cases::{Row, WallReference},
    measure::Sample,
};

/// Prints every row; one that was not measured says why.
pub fn print(rows: &[Row]) {
    println!(
        "\n{:<42} {:>26} {:>9} {:>9}  ratio",
        "", "wall ms, median (min … max)", "CPU ms", "peak MB"
    );
    for row in rows {
        println!("{}", line(row, rows));
    }
}

fn line(row: &Row, rows: &[Row]) -> String {
    if let Some(reason) = &row.skipped {
        return format!("{:<42} skipped: {reason}", row.name);
    }
    let wall = Spread::of(&row.samples, |sample| sample.wall_s * 1e3);
    let cpu = Spread::of(&row.samples, |sample| sample.cpu_s * 1e3);
    let peak = Spread::of(&row.samples, |sample| sample.peak_bytes / 1e6);
    let wall_text = format!("{:.1} ({:.1} … {:.1})", wall.median, wall.smallest, wall.largest);
    format!(
        "{:<42} {wall_text:>26} {:>9.1} {:>9.1}  {}",
        row.name,
        cpu.median,
        peak.largest,
        ratios(row, rows, wall.median, peak.largest).join(", ")
    )
}

fn ratios(row: &Row, rows: &[Row], wall_ms: f64, peak_mb: f64) -> Vec<String> {
    let mut ratios = Vec::new();
    if let Some(limit_s) = row.limits.wall_s {
        ratios.push(format!("{:.2} of {:.0} ms", wall_ms / (limit_s * 1e3), limit_s * 1e3));
    }
    if let Some(limit) = row.limits.peak_bytes {
        ratios.push(format!("{:.2} of {:.0} MB", peak_mb / (limit / 1e6), limit / 1e6));
    }
    if let Some(WallReference { name, at_most }) = row.wall_reference {
        let measured = rows.iter().find(|other| other.name == name && !other.samples.is_empty());
        ratios.extend(measured.map(|other| {
            let others = Spread::of(&other.samples, |sample| sample.wall_s * 1e3).median;
            format!("{:.2} times {} (aim {at_most})", wall_ms / others, name.trim())
        }));
    }
    if let Some(reference) = row.reference {
        let measured = rows.iter().find(|other| other.name == reference.name);
        let measured = measured.filter(|other| other.skipped.is_none());
        ratios.extend(measured.map(|other| compared(row, other, reference.cpu_aim)));
    }
    ratios
}

/// By CPU time: a busy machine stretches the wall time of both, and not alike.
fn compared(row: &Row, reference: &Row, cpu_aim: f64) -> String {
    if !row.wrote_the_same_as(reference) {
        return format!("not compared: its bytes differ from those of {}", reference.name);
    }
    let cpu_s = |row: &Row| Spread::of(&row.samples, |sample| sample.cpu_s).median;
    let times = cpu_s(reference) / cpu_s(row);
    format!("{times:.1} times less CPU than {} (aim {cpu_aim}), same bytes", reference.name)
}

/// The middle and the ends of some figures.
struct Spread {
    smallest: f64,
    median: f64,
    largest: f64,
}

impl Spread {
    fn of(samples: &[Sample], figure: impl Fn(&Sample) -> f64) -> Self {
        let mut figures: Vec<f64> = samples.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        let at = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
        let last = figures.len().saturating_sub(1);
        Self {
            smallest: at(0),
            median: f64::midpoint(at(last / 2), at(last.div_ceil(2))),
            largest: at(last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_in_the_middle() {
        let samples = [4.0, 1.0, 2.0, 9.0].map(|wall_s| Sample {
            wall_s,
            cpu_s: 0.0,
            peak_bytes: 0.0,
            stdout: String::new(),
        });
        let wall = Spread::of(&samples, |sample| sample.wall_s);
        assert_eq!((wall.smallest, wall.median, wall.largest), (1.0, 3.0, 9.0));
        assert_eq!(Spread::of(&samples[..3], |sample| sample.wall_s).median, 2.0);
    }
}
