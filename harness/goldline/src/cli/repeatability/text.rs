//! A study as text for people: whether the verdicts agree, then each measurement.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    cli::table::aligned,
    gauge::{Cell, GaugeStudy, Kind, MeasurementStudy, Rating, Study, UnitVerdicts, Variation},
    record::{Limits, Record},
};

/// What a round came to, in a line.
pub(super) fn round(number: u32, of: u32, records: &[Record]) -> String {
    let mut came_to: BTreeMap<String, usize> = BTreeMap::new();
    for record in records {
        let word = record.verdict.map_or("no verdict", |verdict| verdict.as_str());
        *came_to.entry(word.to_owned()).or_default() += 1;
    }
    format!("round {number} of {of}: {}", counts(&came_to))
}

/// All of it.
pub(super) fn study(study: &Study) -> String {
    let mut text = agreement(study);
    for (why, runs) in &study.left_out {
        text += &format!("left out: {}: {why}\n", counted(*runs, "run"));
    }
    let (scales, others): (Vec<_>, Vec<_>) =
        study.measurements.iter().partition(|it| it.kind == Kind::Variable);
    let uncrossed: BTreeSet<&str> = scales.iter().filter_map(|it| it.no_gauge.as_deref()).collect();
    for measurement in scales {
        text += &format!("\n{}", scale(measurement, study.appraisers.word()));
    }
    for why in uncrossed {
        text += &format!("\nno gauge R&R: {why}\n");
    }
    if !others.is_empty() {
        let rows: Vec<Vec<String>> = others.into_iter().map(without_spread).collect();
        text += &format!("\nwithout a spread to speak of\n{}", indented(&aligned(&rows)));
    }
    text
}

fn agreement(study: &Study) -> String {
    let runs = format!("{} of {}", counted(study.runs, "run"), counted(study.units.len(), "unit"));
    let differing = study.units.iter().filter(|unit| !unit.agrees).count();
    let mut text = match differing {
        0 => format!("{runs}: every unit came to the same verdict each time\n"),
        _ => format!("{runs}: {} CAME TO DIFFERENT VERDICTS\n", counted(differing, "unit")),
    };
    let rows: Vec<Vec<String>> = study.units.iter().flat_map(verdicts).collect();
    text += &indented(&aligned(&rows));
    text
}

/// A line for the unit, and one for each nest or operator where its verdicts differ.
fn verdicts(unit: &UnitVerdicts) -> Vec<Vec<String>> {
    let mark = if unit.agrees { "" } else { "differs" };
    let line = [unit.unit.clone(), counts(&unit.came_to), mark.to_owned()];
    let by = unit.by_appraiser.iter().filter(|_| !unit.agrees);
    let by = by.map(|(by, came_to)| vec![format!("  {by}"), counts(came_to)]);
    std::iter::once(line.to_vec()).chain(by).collect()
}

fn scale(it: &MeasurementStudy, word: &str) -> String {
    let mut text = title(it) + "\n";
    let columns = ["n", "mean", "s", "min", "max", "range", "Cg", "P/T"];
    let header = ["unit", word.trim_end_matches('s')].into_iter().chain(columns);
    let header = header.map(str::to_owned).collect();
    let rows: Vec<_> = std::iter::once(header).chain(it.cells.iter().map(row)).collect();
    text += &indented(&aligned(&rows));
    if let (Some(ev), true) = (it.repeatability, it.cells.len() > 1) {
        text += &format!("  repeatability of all together: {} {}\n", figure(ev), it.unit);
    }
    text + &it.gauge.as_ref().map_or_else(String::new, |study| gauge(study, word))
}

fn title(it: &MeasurementStudy) -> String {
    format!("{}  {}", name(it), limits(it))
}

fn name(it: &MeasurementStudy) -> String {
    format!("{}.{}", it.check, it.name)
}

fn limits(it: &MeasurementStudy) -> String {
    let limits = match it.limits() {
        Limits { lower: None, upper: None } => return "no limits".to_owned(),
        Limits { lower: Some(lower), upper: Some(upper) } if lower == upper => format!("= {lower}"),
        Limits { lower: Some(lower), upper: Some(upper) } => format!("{lower}…{upper}"),
        Limits { lower: Some(lower), upper: None } => format!("≥ {lower}"),
        Limits { lower: None, upper: Some(upper) } => format!("≤ {upper}"),
    };
    format!("{limits} {}", it.unit).trim_end().to_owned()
}

fn row(cell: &Cell) -> Vec<String> {
    let Cell { part, appraiser, spread, cg, p_t_percent } = cell;
    let or_dash = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), figure);
    vec![
        part.clone(),
        appraiser.clone(),
        spread.n.to_string(),
        figure(spread.mean),
        or_dash(spread.s),
        figure(spread.min),
        figure(spread.max),
        figure(spread.range),
        or_dash(*cg),
        p_t_percent.map_or_else(|| "-".to_owned(), |p_t| format!("{} %", percent(p_t))),
    ]
}

fn gauge(study: &GaugeStudy, word: &str) -> String {
    let (parts, by, trials) = (study.parts.len(), study.appraisers.len(), study.trials);
    let units = counted(parts, "unit");
    let by = counted(by, word.trim_end_matches('s'));
    let mut text = format!("  gauge R&R, {units} × {by} × {trials} trials\n");
    let methods = [Some(study.anova.variation), study.average_range];
    let header = ["", "ANOVA", "average and range"].map(str::to_owned).to_vec();
    let line = |name: &str, of: &dyn Fn(&Variation) -> Option<String>| {
        let cells = methods.iter().map(|method| method.as_ref().and_then(of));
        let cells = cells.map(|cell| cell.unwrap_or_else(|| "-".to_owned()));
        std::iter::once(name.to_owned()).chain(cells).collect::<Vec<_>>()
    };
    let rated = |share: Option<f64>, rating: Option<Rating>| {
        Some(format!("{} %, {}", percent(share?), rating?.as_str()))
    };
    let rows = [
        header,
        line("EV   repeatability", &|v| Some(figure(v.ev))),
        line("AV   reproducibility", &|v| v.av.map(figure)),
        line("INT  interaction", &|v| v.interaction.map(figure)),
        line("GRR", &|v| Some(figure(v.grr))),
        line("PV   units", &|v| v.pv.map(figure)),
        line("TV", &|v| v.tv.map(figure)),
        line("GRR of TV", &|v| rated(v.grr_of_tv_percent, v.rating_of_tv)),
        line("GRR of tolerance", &|v| rated(v.grr_of_tolerance_percent, v.rating_of_tolerance)),
        line("ndc", &|v| v.ndc.map(|ndc| ndc.to_string())),
    ];
    text += &indented(&indented(&aligned(&rows)));
    if let Some(p) = study.anova.interaction.p {
        let what = if study.anova.pooled { "pooled, above 0.25" } else { "kept" };
        text += &format!("    the interaction's p is {}: {what}\n", figure(p));
    }
    if study.anova.variation.av.is_none() {
        text += &format!(
            "    reproducibility was not studied: there is one {}\n",
            word.trim_end_matches('s')
        );
    }
    text
}

/// What needs no statistics: counts, words, and what is the same each time.
fn without_spread(it: &MeasurementStudy) -> Vec<String> {
    let (min, max) =
        it.cells.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), cell| {
            (min.min(cell.spread.min), max.max(cell.spread.max))
        });
    let values = match it.kind {
        Kind::Word => counts_of_words(&it.words),
        _ if min == max => format!("{} each time", figure(min)),
        Kind::Count => format!("counts from {} to {}", figure(min), figure(max)),
        _ => format!("{} to {}, each unit the same each time", figure(min), figure(max)),
    };
    let differs = match it.unsteady.as_slice() {
        [] => String::new(),
        units => format!("; differs from run to run of {}", units.join(", ")),
    };
    vec![name(it), limits(it), values + &differs]
}

fn counts_of_words(words: &BTreeMap<String, usize>) -> String {
    match words.len() {
        1..=3 => counts(&words.iter().map(|(word, n)| (format!("\"{word}\""), *n)).collect()),
        different => format!("{different} different words"),
    }
}

fn counts(came_to: &BTreeMap<String, usize>) -> String {
    let counts: Vec<_> = came_to.iter().map(|(word, count)| format!("{count} {word}")).collect();
    counts.join(", ")
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A percentage with one place; what is not nothing is not shown as nothing.
pub(super) fn percent(value: f64) -> String {
    if value > 0.0 && value < 0.05 { "< 0.1".to_owned() } else { format!("{value:.1}") }
}

/// Four digits that count; a whole number has all of its own.
fn figure(value: f64) -> String {
    if value.fract() == 0.0 {
        return format!("{value:.0}");
    }
    let places = (3.0 - value.abs().log10().floor()).clamp(0.0, 12.0) as usize;
    let text = format!("{value:.places$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_four_digits_that_count() {
        let shown = [-45.0, 4_194_304.0, 0.302_372, 12_345.678, 0.001_234_56, 0.5, 0.0];
        let expected = ["-45", "4194304", "0.3024", "12346", "0.001235", "0.5", "0"];
        assert_eq!(shown.map(figure), expected);
    }
}
