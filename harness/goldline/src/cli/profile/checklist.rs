//! `goldline profile checklist`: a product's production checklist, for paper.
//!
//! Made of the profile and its plan alone, so that two stations print the same. Of a secret it shows
//! neither value nor sample.

mod prerequisites;

use std::{path::Path, sync::Arc};

use super::{line, range, size};
use crate::{
    check::{reasons, reasons_to_stop},
    plan::{Plan, Scope, Step},
    profile::{CatalogError, CheckSpec, Demand, Profile, find},
    record::Code,
};

/// `profile checklist NAME`: what must be there, the steps, the limits, what a FAIL means, lines to sign.
/// Markdown.
///
/// # Errors
/// As [`find`].
pub fn checklist(name: &str, dir: Option<&Path>) -> Result<String, CatalogError> {
    let profile = Arc::new(find(name, dir)?);
    let plan = Plan::new(Arc::clone(&profile), Scope::Run);
    let mut text = String::new();
    head(&mut text, &profile);
    prerequisites::list(&mut text, &profile);
    each_unit(&mut text, &profile);
    steps(&mut text, &plan);
    checks(&mut text, &profile);
    verdicts(&mut text);
    fails(&mut text, &plan);
    sign_off(&mut text, &profile);
    Ok(text)
}

fn head(text: &mut String, profile: &Profile) {
    let (chip, flash) = (profile.chip, size(profile.flash.size()));
    line(text, format_args!("# Production checklist: {}", profile.title));
    line(text, format_args!("\nProfile `{}`, {chip} with {flash} of flash.", profile.name));
    line(text, format_args!("\n{}", blanks(&["Lot", "Station", "Operator", "Date"])));
}

fn each_unit(text: &mut String, profile: &Profile) {
    heading(text, "For each unit");
    for what in [
        "connect it, and nothing else that looks like it",
        &format!("`goldline run {} --device PORT --lot LOT --operator NAME`", profile.name),
        "wait for the verdict; keep cable and supply as they are until then",
        "on PASS: label it with what stands below, and pack it",
        "on anything else: put it where the verdict says, with a note of the code",
    ] {
        item(text, what);
    }
    line(text, format_args!("\nOn the label:\n"));
    item(text, "MAC");
    for id in ids(profile) {
        item(text, &format!("`{id}`"));
    }
}

fn steps(text: &mut String, plan: &Plan) {
    heading(text, "What Goldline does, in this order");
    for (index, step) in plan.steps.iter().enumerate() {
        line(text, format_args!("{}. {step}", index + 1));
    }
}

fn checks(text: &mut String, profile: &Profile) {
    heading(text, "What is checked");
    line(text, format_args!("| check | proves | limit |\n| --- | --- | --- |"));
    for check in &profile.checks {
        line(text, format_args!("{}", row(check)));
    }
}

fn row(check: &CheckSpec) -> String {
    let limit = |(name, limits): (&String, _)| format!("`{name}` {}", range(limits));
    let limits: Vec<String> =
        check.limits.iter().map(|(name, limits)| limit((name, *limits))).collect();
    let own = check.own.iter().flat_map(|own| &own.demands);
    let limits: Vec<String> = limits.into_iter().chain(own.map(demand)).collect();
    let limits = if limits.is_empty() { "as planned".to_owned() } else { limits.join(", ") };
    let instead = check.without_radio.map_or_else(String::new, |other| {
        format!(" (without a radio `{}`: {})", other.name(), other.what())
    });
    format!("| `{}` | {}{instead} | {limits} |", check.name(), check.id.what())
}

fn demand((name, demand): (&String, &Demand)) -> String {
    match demand {
        Demand::Within { limits, unit } => {
            format!("`{name}` {} {unit}", range(*limits)).trim_end().to_owned()
        }
        Demand::Is(word) => format!("`{name}` is {word}"),
    }
}

fn verdicts(text: &mut String) {
    heading(text, "What to do with the unit");
    line(text, format_args!("| verdict | exit code | the unit | what to do |"));
    line(text, format_args!("| --- | --- | --- | --- |"));
    for row in [
        "| PASS | 0 | good | label and pack it |",
        "| FAIL | 1 | bad | as the code says below; it is not shipped |",
        "| refused | 2 | untouched | call: the order or the profile is wrong |",
        "| ERROR | 3 | nothing is said of it | mend the station or the bench, then test it again |",
        "| ABORTED | 4 | nothing is said of it | test it again from the start |",
    ] {
        line(text, format_args!("{row}"));
    }
}

/// Every code once, where a unit meets it first.
fn fails(text: &mut String, plan: &Plan) {
    line(text, format_args!("\n## What a FAIL means"));
    for (place, codes) in places(plan) {
        line(text, format_args!("\n### {place}\n"));
        if codes.is_empty() {
            item(text, "no unit fails here; what is the station's is an ERROR");
        }
        for code in codes {
            let (meaning, operator) = (code.meaning(), code.operator());
            line(text, format_args!("- `{}`: {meaning} **Do:** {operator}.", code.as_str()));
        }
    }
}

/// The codes of each check, and before them those that end a run at a step.
fn places(plan: &Plan) -> Vec<(String, Vec<Code>)> {
    let mut stops: Vec<Code> = Vec::new();
    for code in plan.steps.iter().flat_map(|step: &Step| reasons_to_stop(step)) {
        if !stops.contains(&code) {
            stops.push(code);
        }
    }
    let mut places = vec![("While it is provisioned".to_owned(), stops)];
    for check in plan.checks() {
        places.push((format!("`{}`", check.name()), reasons(check.id, &plan.profile)));
        if let Some(other) = check.without_radio {
            places.push((format!("`{}`", other.name()), reasons(other, &plan.profile)));
        }
    }
    places
}

fn sign_off(text: &mut String, profile: &Profile) {
    heading(text, "Sign-off");
    let mut columns = vec!["MAC"];
    columns.extend(ids(profile));
    columns.extend(["verdict", "code", "labelled", "signed"]);
    line(text, format_args!("| {} |", columns.join(" | ")));
    line(text, format_args!("|{}", " --- |".repeat(columns.len())));
    for _ in 0..5 {
        line(text, format_args!("|{}", "   |".repeat(columns.len())));
    }
    line(text, format_args!("\n{}", blanks(&["Units", "PASS", "FAIL", "scrapped"])));
    line(text, format_args!("\n{}", blanks(&["Released by", "Date"])));
}

/// What tells one unit from another, besides its MAC.
fn ids(profile: &Profile) -> impl Iterator<Item = &str> {
    profile.values.iter().filter(|value| value.id).map(|value| value.name.as_str())
}

fn blanks(names: &[&str]) -> String {
    names.iter().map(|name| format!("{name}: ____________")).collect::<Vec<_>>().join("  ")
}

fn heading(text: &mut String, heading: &str) {
    line(text, format_args!("\n## {heading}\n"));
}

fn item(text: &mut String, what: &str) {
    line(text, format_args!("- [ ] {what}"));
}
