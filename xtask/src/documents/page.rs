//! harness/docs/documents.md as text: rows → Markdown.

use std::fmt::Write;

use super::table::{Kind, Reference, Row, Standing};
use crate::codes::documents::DOCUMENTS;

const HEAD: &str = "\
# What the documents promise

Goldline was built for the products of five documents. Here is what each of them promises, sentence by sentence:
found by a few words of its own, and with what serves it, or why nothing does. The failures that their
troubleshooting sections name stand in [CODES.md](../../CODES.md).

This page is made by `cargo xtask documents --accept`, of `fixtures/documents.tsv`: change that. What a row names
exists, which `cargo xtask check documents` proves; that no sentence is left out is tested where the documents
themselves are at hand.
";

/// The whole page.
pub fn page(rows: &[Row]) -> String {
    let mut text = HEAD.to_owned();
    add_counts(&mut text, rows);
    for (number, title) in DOCUMENTS {
        add(&mut text, &format!("\n## Document {number}: {title}\n"));
        add(&mut text, "| section | sentence | | served by | remark |");
        add(&mut text, "| --- | --- | --- | --- | --- |");
        for row in rows.iter().filter(|row| row.document == number) {
            add(&mut text, &line(row));
        }
    }
    text
}

fn add_counts(text: &mut String, rows: &[Row]) {
    let kinds = [Standing::Served, Standing::InPart, Standing::NotDone, Standing::NoPromise];
    add(text, "\n| document | served | in part | not done | no promise |");
    add(text, "| --- | --- | --- | --- | --- |");
    for (number, title) in DOCUMENTS {
        let count = |standing| {
            let own = rows.iter().filter(|row| row.document == number);
            own.filter(|row| row.standing() == standing).count().to_string()
        };
        add(text, &format!("| {number}, {title} | {} |", kinds.map(count).join(" | ")));
    }
}

fn line(row: &Row) -> String {
    let standing = match row.standing() {
        Standing::Served => "yes",
        Standing::InPart => "in part",
        Standing::NotDone => "no",
        Standing::NoPromise => "–",
    };
    let served: Vec<String> = row.served.iter().map(show).collect();
    // A cell ends at a bar, wherever it stands.
    let quote = row.quote.replace('|', "\\|").replace('`', "'");
    format!("| {} | `{quote}` | {standing} | {} | {} |", row.section, served.join(", "), row.remark)
}

fn show(named: &Reference) -> String {
    let name = &named.name;
    match named.kind {
        Kind::Profile => format!("profile `{name}`"),
        Kind::Check => format!("check `{name}`"),
        Kind::Command => format!("`goldline {name}`"),
        Kind::Code => format!("[`{name}`](../../CODES.md#{})", name.replace('.', "")),
        Kind::Fault => format!("`--fault {name}`"),
        Kind::Test => format!("test `{name}`"),
    }
}

fn add(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes every line");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::table::parse;

    #[test]
    fn a_row_shows_what_serves_it_and_what_does_not() {
        let rows = "003\tFlow\tby `BLE`|USB\tprofile:safesignal, code:boot.loop\tby USB; not done: BLE\n\
                    003\tFlow\tan app\t-\tnot done: no app\n";
        let page = page(&parse(rows).expect("read"));
        let line = "| Flow | `by 'BLE'\\|USB` | in part | profile `safesignal`, \
                    [`boot.loop`](../../CODES.md#bootloop) | by USB; not done: BLE |\n";
        assert!(page.contains(line), "{page}");
        assert!(page.contains("| Flow | `an app` | no |  | not done: no app |\n"), "{page}");
        assert!(
            page.contains("| 003, SafeSignal, a provisioning guide | 0 | 1 | 1 | 0 |"),
            "{page}"
        );
    }
}
