//! `fixtures/documents.tsv`: a row for each thing that a product's document promises.
//!
//! Must not know whether what a row names is there.

use crate::codes::documents::DOCUMENTS;

/// Below the repository's root.
pub const TABLE: &str = "fixtures/documents.tsv";
const NONE: &str = "-";

/// One promise of a document, and what became of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// The document's number.
    pub document: String,
    /// Where in it, in our own words.
    pub section: String,
    /// A few words of its own, by which the sentence is found.
    pub quote: String,
    /// What serves it.
    pub served: Vec<Reference>,
    /// What is to be said of it; why, where nothing serves it.
    pub remark: String,
}

/// Something of this project, by its name.
#[derive(Debug, PartialEq, Eq)]
pub struct Reference {
    /// What it is.
    pub kind: Kind,
    /// Its name, as a user or a developer says it.
    pub name: String,
}

/// What a row can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Profile,
    Check,
    Command,
    Code,
    Fault,
    Test,
}

/// Whether a promise is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is served.
    Served,
    /// It is served, and the remark says what of it is not.
    InPart,
    /// It is not served, and the remark says why.
    NotDone,
    /// It promises nothing of a product or of a tool.
    NoPromise,
}

const NOT_DONE: &str = "not done";
const NO_PROMISE: &str = "no promise";

impl Kind {
    const ALL: [(&'static str, Self); 6] = [
        ("profile", Self::Profile),
        ("check", Self::Check),
        ("command", Self::Command),
        ("code", Self::Code),
        ("fault", Self::Fault),
        ("test", Self::Test),
    ];
}

impl Row {
    /// Whether the promise is kept.
    pub fn standing(&self) -> Standing {
        match self.served.is_empty() {
            false if self.remark.contains(NOT_DONE) => Standing::InPart,
            false => Standing::Served,
            true if self.remark.starts_with(NO_PROMISE) => Standing::NoPromise,
            true => Standing::NotDone,
        }
    }
}

/// Reads the table; the error names the line.
pub fn parse(table: &str) -> Result<Vec<Row>, String> {
    let lines = table.lines().enumerate().filter(|(_, line)| !line.starts_with('#'));
    lines
        .map(|(index, line)| row(line).map_err(|what| format!("{TABLE}:{}: {what}", index + 1)))
        .collect()
}

fn row(line: &str) -> Result<Row, String> {
    let cells: Vec<&str> = line.split('\t').collect();
    let (document, section, quote, served, remark) = match cells[..] {
        [document, section, quote, served] => (document, section, quote, served, ""),
        [document, section, quote, served, remark] => (document, section, quote, served, remark),
        _ => {
            return Err(format!(
                "{} cells: expected document, section, quote, what serves it, perhaps a remark, with a tab between them",
                cells.len()
            ));
        }
    };
    if !DOCUMENTS.iter().any(|(number, _)| *number == document) {
        return Err(format!("document \"{document}\": expected 000 to 004"));
    }
    let served = served.split(", ").filter(|text| *text != NONE).map(reference);
    let served = served.collect::<Result<Vec<_>, _>>()?;
    let says_why = [NOT_DONE, NO_PROMISE].iter().any(|words| remark.starts_with(words));
    if served.is_empty() && !says_why {
        return Err(format!(
            "nothing serves it: expected a remark that begins with \"{NOT_DONE}: \" or \"{NO_PROMISE}: \" and says why, got \"{remark}\""
        ));
    }
    Ok(Row {
        document: document.to_owned(),
        section: section.to_owned(),
        quote: quote.to_owned(),
        served,
        remark: remark.to_owned(),
    })
}

fn reference(text: &str) -> Result<Reference, String> {
    let found = text.split_once(':').and_then(|(kind, name)| {
        let (_, kind) = Kind::ALL.into_iter().find(|(word, _)| *word == kind)?;
        Some(Reference { kind, name: name.to_owned() })
    });
    let words = Kind::ALL.map(|(word, _)| word).join(", ");
    found.ok_or_else(|| format!("\"{text}\": expected KIND:NAME, where KIND is one of {words}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{seeds, workspace};

    fn rows() -> Vec<Row> {
        let table = workspace::root().join(TABLE);
        parse(&fs::read_to_string(table).expect("it is committed")).expect("it is well formed")
    }

    #[test]
    fn a_row_is_served_or_says_why_not() {
        let text = "# head\n003\tFlow\tno credentials\tprofile:safesignal, command:nvs show\n";
        let row = &parse(text).expect("read")[0];
        assert_eq!(row.served[1], Reference { kind: Kind::Command, name: "nvs show".to_owned() });
        assert_eq!(row.standing(), Standing::Served);
        for (cells, standing) in [
            ("check:wifi_join\twith a radio; not done: WPS", Standing::InPart),
            ("-\tnot done: no radio", Standing::NotDone),
            ("-\tno promise: paper", Standing::NoPromise),
        ] {
            let row = &parse(&format!("003\tFlow\tBLE\t{cells}\n")).expect("read")[0];
            assert_eq!(row.standing(), standing, "{cells}");
        }
        for (line, what) in [
            ("004\tChecklist\tpaper\t-\n", ":1: nothing serves it"),
            ("004\tChecklist\tpaper\t-\tbecause\n", ":1: nothing serves it"),
            ("005\tPort\topens\tprofile:espvault\n", ":1: document \"005\""),
            ("# head\n003 Port opens\n", ":2: 1 cells"),
            ("003\tPort\topens\tcommands:run\n", ":1: \"commands:run\": expected KIND:NAME"),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.contains(what), "no {what} in {error}");
        }
    }

    #[test]
    fn no_promise_is_there_twice() {
        let rows = rows();
        for (index, row) in rows.iter().enumerate() {
            let same = |other: &Row| (&other.document, &other.quote) == (&row.document, &row.quote);
            assert!(!rows[..index].iter().any(same), "{row:?}");
        }
    }

    /// Sections that promise nothing, or whose rows stand in `fixtures/troubleshooting.tsv`.
    const WITHOUT_PROMISES: [&str; 11] = [
        "Table of Contents",
        "References",
        "Learning Resources",
        "Related Features",
        "File Listing",
        "Files",
        // Names and sizes of another tool's parts.
        "Code References",
        "Resource Usage",
        // Once more what the sections say.
        "Summary",
        "Troubleshooting",
        "Issue: ",
    ];

    /// The lines of lists and tables, which is where the documents promise; code is none.
    fn promises(text: &str) -> Vec<&str> {
        let lines: Vec<&str> = text.lines().collect();
        let (mut found, mut in_code, mut counts, mut rank) = (Vec::new(), false, true, 0);
        for (index, line) in lines.iter().enumerate() {
            if line.starts_with("```") {
                in_code = !in_code;
            }
            let signs = line.chars().take_while(|sign| *sign == '#').count();
            if in_code {
                continue;
            }
            if signs > 0 {
                // A heading ends what one of its own rank or a lower one began.
                if counts || signs <= rank {
                    counts = !WITHOUT_PROMISES.iter().any(|title| line.contains(title));
                    rank = signs;
                }
            } else if counts && is_promise(line, lines.get(index + 1).copied()) {
                found.push(*line);
            }
        }
        found
    }

    fn is_promise(line: &str, next: Option<&str>) -> bool {
        let text = line.trim_start();
        let digits = text.trim_start_matches(|sign: char| sign.is_ascii_digit());
        let numbered = digits.len() < text.len() && digits.starts_with(". ");
        let is_head = next.is_some_and(|next| next.starts_with("|--"));
        let is_cells = text.starts_with("| ") && !is_head;
        text.starts_with("- ") || numbered || is_cells
    }

    #[test]
    fn lists_and_tables_promise_and_code_and_other_sections_do_not() {
        let text = "# A\n- one\n```\n- code\n```\n| head |\n|---|\n| cell |\n## Files\n- file\n### Of it\n- x\n## B\n2. two\n";
        assert_eq!(promises(text), ["- one", "| cell |", "2. two"]);
    }

    #[test]
    fn every_promise_of_the_documents_has_a_row_and_every_row_is_in_them() {
        let rows = rows();
        let mut missing = Vec::new();
        for (number, _) in DOCUMENTS {
            let Some(text) = seeds::document(number) else { return };
            let own: Vec<&Row> = rows.iter().filter(|row| row.document == number).collect();
            for line in promises(&text) {
                if !own.iter().any(|row| line.contains(&row.quote)) {
                    missing.push(format!("{number}: no row quotes: {line}"));
                }
            }
            let strangers = own.iter().filter(|row| !text.contains(&row.quote));
            missing.extend(strangers.map(|row| format!("{number}: not there: {}", row.quote)));
        }
        assert!(missing.is_empty(), "{}", missing.join("\n"));
    }
}
