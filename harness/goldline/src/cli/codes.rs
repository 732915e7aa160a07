//! `goldline codes`: every diagnosis there is, with its causes and who does what about it.

use clap::Args;
use serde::Serialize;

use super::{exit, output, problem::usage};
use crate::{
    profile::did_you_mean,
    record::{Area, Code},
};

#[derive(Args)]
pub(super) struct CodesArguments {
    /// Such as wifi.not_joined: everything that is known of it; without any, all codes in a line each
    #[arg(value_name = "CODE")]
    codes: Vec<String>,
    /// As JSON, with everything that is known
    #[arg(long)]
    json: bool,
}

/// A code as other programs read it.
#[derive(Serialize)]
struct Entry {
    code: Code,
    area: &'static str,
    symptom: &'static str,
    causes: &'static [&'static str],
    operator: &'static str,
    engineer: &'static str,
    action: &'static str,
}

pub(super) fn run(arguments: &CodesArguments) -> miette::Result<u8> {
    let wanted = arguments.codes.iter().map(|text| parse(text)).collect::<Result<Vec<_>, _>>()?;
    if arguments.json {
        output::print_json(&entries(&wanted))?;
    } else if wanted.is_empty() {
        output::print(&list())?;
    } else {
        output::print(&wanted.into_iter().map(in_full).collect::<Vec<_>>().join("\n"))?;
    }
    Ok(exit::PASS)
}

fn parse(text: &str) -> miette::Result<Code> {
    text.parse().map_err(|error| {
        usage(format!("{error}{}", did_you_mean(text, Code::all().map(Code::as_str))))
    })
}

/// All codes, or these, in the order of their areas.
fn entries(wanted: &[Code]) -> Vec<Entry> {
    let of = |area: &'static Area| area.codes.iter().map(|code| entry(area.title, *code));
    let all = Code::AREAS.iter().flat_map(of);
    all.filter(|entry| wanted.is_empty() || wanted.contains(&entry.code)).collect()
}

fn entry(area: &'static str, code: Code) -> Entry {
    Entry {
        code,
        area,
        symptom: code.meaning(),
        causes: code.causes(),
        operator: code.operator(),
        engineer: code.engineer(),
        action: code.action(),
    }
}

fn list() -> String {
    let width = Code::all().map(|code| code.as_str().len()).max().unwrap_or(0);
    let line = |code: &Code| format!("  {:width$}  {}\n", code.as_str(), code.meaning());
    let part = |area: &Area| {
        let lines: String = area.codes.iter().map(line).collect();
        format!("{}\n{lines}", area.title)
    };
    Code::AREAS.iter().map(part).collect::<Vec<_>>().join("\n")
}

fn in_full(code: Code) -> String {
    let mut text =
        format!("{}\n  {}\n\n  causes, the likeliest first\n", code.as_str(), code.meaning());
    for (index, cause) in code.causes().iter().enumerate() {
        text += &format!("    {}  {cause}\n", index + 1);
    }
    text += &format!("\n  operator  {}\n", code.operator());
    text + &format!("  engineer  {}\n", code.engineer())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_a_line_for_each_code_and_each_area() {
        let list = list();
        for code in Code::all() {
            assert!(list.contains(&format!("\n  {} ", code.as_str())), "no {code:?} in {list}");
        }
        for area in Code::AREAS {
            assert!(list.lines().any(|line| line == area.title), "no {} in {list}", area.title);
        }
    }

    #[test]
    fn a_code_in_full_leaves_nothing_out() {
        let text = in_full(Code::WifiNotJoined);
        let code = Code::WifiNotJoined;
        let told = [code.meaning(), code.operator(), code.engineer()];
        for part in told.iter().chain(code.causes()) {
            assert!(text.contains(part), "no \"{part}\" in {text}");
        }
    }
}
