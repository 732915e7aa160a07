//! Runs as text for people.

use serde_json::Value;

use crate::{
    cli::{table::aligned, zone::shown},
    record::Record,
    report::verdict_text,
    store::RunSummary,
};

/// A table of runs.
pub(super) fn list(runs: &[RunSummary]) -> String {
    let header = ["when", "outcome", "profile", "unit", "lot", "diagnosis", "ids", "run"];
    let header = header.map(str::to_owned).to_vec();
    aligned(&std::iter::once(header).chain(runs.iter().map(row)).collect::<Vec<_>>())
}

fn row(run: &RunSummary) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let ids: Vec<&str> = run.ids.values().map(String::as_str).collect();
    vec![
        shown(run.started_at),
        run.outcome.to_string(),
        run.profile.clone(),
        or_dash(run.mac.map(|mac| mac.to_string())),
        or_dash(run.lot.clone()),
        or_dash(run.diagnosis.clone()),
        if ids.is_empty() { "-".to_owned() } else { ids.join(" ") },
        run.run_id.to_string(),
    ]
}

/// The verdict as the run itself printed it, and whose run it was. A record of another form is shown as
/// it is.
pub(super) fn record(json: &Value) -> String {
    let Ok(record) = serde_json::from_value::<Record>(json.clone()) else {
        return format!("{json:#}\n");
    };
    let when = shown(record.started_at);
    let mut text = verdict_text(&record);
    text += &format!("\n  run   {} at {when} on {}\n", record.run_id, record.device);
    for (name, value) in [("lot", &record.lot), ("by", &record.operator)] {
        if let Some(value) = value {
            text += &format!("  {name:5} {value}\n");
        }
    }
    text
}
