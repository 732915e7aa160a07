//! A proof as text, for a terminal or a log.

use std::fmt::Write;

use super::{
    cases::{Survivors, cases, survivors},
    rows::{COLUMNS, rows},
    words,
};
use crate::prove::{Case, Proof};

/// So many that say the same are told by their ids.
const TOLD: usize = 4;

/// The whole report.
pub fn proof_text(proof: &Proof) -> String {
    let mut text = format!("{}\n{}\n", words::subject(proof), words::verdict(proof));
    for warning in words::warnings(proof) {
        line(&mut text, &format!("! {warning}"));
    }
    kinds(&mut text, proof);
    for group in survivors(&proof.survivors) {
        survivor(&mut text, proof, &group);
    }
    let lists = [
        ("wrong causes", "FAIL, but not for what is wrong", &proof.wrong_causes),
        ("undecided", "nothing is said of them: ERROR is not caught", &proof.undecided),
        ("blamed", "good, and FAIL", &proof.blamed),
        ("good units", "nothing is wrong with them, and they do not pass", &proof.good.refused),
        ("impossible", "no unit can be so", &proof.impossible),
    ];
    for (word, what, cases) in lists {
        list(&mut text, word, what, cases);
    }
    checks(&mut text, proof);
    if !proof.untold.is_empty() {
        line(&mut text, "");
        line(&mut text, &format!("left out    {}", words::left_out(proof)));
    }
    line(&mut text, "");
    line(&mut text, &format!("good units  {}", words::good_units(proof)));
    line(&mut text, &format!("took        {}", words::duration(proof)));
    line(&mut text, &format!("again       {}", words::again(proof)));
    line(&mut text, &format!("one mutant  {}", words::one_again(proof, one(proof))));
    text
}

/// The mutant that somebody wants to run again first.
fn one(proof: &Proof) -> &str {
    let survivors = survivors(&proof.survivors);
    let first = survivors.first().map(|group| &group.first.case);
    let lists = [&proof.wrong_causes, &proof.undecided, &proof.blamed];
    let case = first.or_else(|| lists.into_iter().find_map(|list| list.first()));
    case.map_or("ID", |case| &case.mutant)
}

fn kinds(text: &mut String, proof: &Proof) {
    let mut table = vec![[vec![String::new()], COLUMNS.map(str::to_owned).to_vec()].concat()];
    for row in rows(proof) {
        let name =
            if row.is_drawn { format!("{} (drawn)", row.kind) } else { row.kind.to_string() };
        // A zero is looked for only where it matters that there is none.
        let cells = row.cells.map(|cell| if cell == "0" { "-".to_owned() } else { cell });
        table.push([vec![name], cells.to_vec()].concat());
    }
    line(text, "");
    text.push_str(&aligned(&table));
    for bound in words::bounds(proof) {
        line(text, &bound);
    }
}

fn survivor(text: &mut String, proof: &Proof, group: &Survivors<'_>) {
    let Survivors { first, cases } = group;
    let word = if first.accepted_because.is_some() { "accepted" } else { "ESCAPED" };
    line(text, "");
    let mut told = "";
    for case in cases.iter().take(TOLD) {
        line(text, &format!("{word:<10}  {}", case.mutant));
        if case.what != told {
            line(text, &format!("            {}", case.what));
        }
        told = &case.what;
    }
    more(text, cases.len());
    line(text, &format!("  customer  {}", first.means));
    line(text, &format!("  remedy    {}", first.remedy));
    if let Some(because) = &first.accepted_because {
        line(text, &format!("  because   {because}"));
    }
    line(text, &format!("  again     {}", words::one_again(proof, &first.case.mutant)));
}

fn list(text: &mut String, word: &str, what: &str, of: &[Case]) {
    if of.is_empty() {
        return;
    }
    line(text, "");
    line(text, &format!("{word} ({}): {what}", of.len()));
    for group in cases(of) {
        let kind = group.kind.map(|kind| format!("{kind}, ")).unwrap_or_default();
        line(text, &format!("  {kind}{}: {}", group.said, group.cases.len()));
        for case in group.cases.iter().take(TOLD) {
            line(text, format!("    {}  {}", case.mutant, case.what).trim_end());
            if let Some(message) = &case.message {
                line(text, &format!("      {}", message.replace('\n', " ")));
            }
        }
        more(text, group.cases.len());
    }
}

fn more(text: &mut String, cases: usize) {
    if let Some(more) = cases.checked_sub(TOLD).filter(|more| *more > 0) {
        line(text, &format!("            and {more} more; --json has all"));
    }
}

fn checks(text: &mut String, proof: &Proof) {
    let head = ["check", "caught", "alone", "others not asked", "time", ""].map(str::to_owned);
    let mut table = vec![head.to_vec()];
    for check in &proof.checks {
        table.push(vec![
            words::name_of(check).to_owned(),
            check.caught.to_string(),
            check.alone.to_string(),
            check.others_not_asked.to_string(),
            check.median_ms.map(words::milliseconds).unwrap_or_default(),
            words::of_check(check, proof).to_owned(),
        ]);
    }
    line(text, "");
    text.push_str(&aligned(&table));
}

/// The first column to the left, numbers to the right, words behind them.
fn aligned(table: &[Vec<String>]) -> String {
    let columns = table.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = table.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in table {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            let is_words = column == 0 || row[column].contains(' ') && column + 1 == columns;
            if is_words { format!("{cell:width$}") } else { format!("{cell:>width$}") }
        });
        line(&mut text, cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    text
}

fn line(text: &mut String, content: &str) {
    writeln!(text, "{content}").expect("a string takes every line");
}
