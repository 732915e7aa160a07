//! What the products' documents call a failure: `fixtures/troubleshooting.tsv`, a row for each row of a
//! troubleshooting section.
//!
//! Must not know what a code means.

/// Below the repository's root.
pub const TABLE: &str = "fixtures/troubleshooting.tsv";
const NONE: &str = "-";

/// The documents, with what each is about.
pub const DOCUMENTS: [(&str, &str); 5] = [
    ("000", "EspVault, a factory guide"),
    ("001", "zero-config provisioning, an overview"),
    ("002", "zero-config provisioning, its README"),
    ("003", "SafeSignal, a provisioning guide"),
    ("004", "BLE gateway, a provisioning guide"),
];

/// One row of a document.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number.
    pub document: String,
    /// Where in it.
    pub section: String,
    /// What it says, in our own words.
    pub says: String,
    /// What Goldline says of it, the likeliest first; none where `remark` tells why.
    pub codes: Vec<String>,
    /// Empty where there is none.
    pub remark: String,
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
    let (document, section, says, codes, remark) = match cells[..] {
        [document, section, says, codes] => (document, section, says, codes, ""),
        [document, section, says, codes, remark] => (document, section, says, codes, remark),
        _ => {
            return Err(format!(
                "{} cells: expected document, section, what it says, codes, perhaps a remark, with a tab between them",
                cells.len()
            ));
        }
    };
    if !DOCUMENTS.iter().any(|(number, _)| *number == document) {
        return Err(format!("document \"{document}\": expected 000 to 004"));
    }
    let codes: Vec<String> =
        codes.split(' ').filter(|code| *code != NONE).map(str::to_owned).collect();
    if codes.is_empty() && remark.is_empty() {
        return Err("neither a code nor a reason why there is none".to_owned());
    }
    Ok(Row {
        document: document.to_owned(),
        section: section.to_owned(),
        says: says.to_owned(),
        codes,
        remark: remark.to_owned(),
    })
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
    fn a_row_names_a_code_or_says_why_not() {
        let row =
            &parse("# head\n003\tPort\tcannot open\tport.unusable internal\n").expect("read")[0];
        assert_eq!(row.codes, ["port.unusable", "internal"]);
        assert_eq!(row.remark, "");
        let none = &parse("004\tChecklist\tpaper\t-\tno unit has a part in it\n").expect("read")[0];
        assert_eq!(none.codes, [""; 0]);
        for (line, what) in [
            ("004\tChecklist\tpaper\t-\n", ":1: neither a code nor a reason"),
            ("005\tPort\tcannot open\tport.unusable\n", ":1: document \"005\""),
            ("# head\n003 Port cannot open\n", ":2: 1 cells"),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.contains(what), "no {what} in {error}");
        }
    }

    #[test]
    fn no_row_is_there_twice() {
        let rows = rows();
        for (index, row) in rows.iter().enumerate() {
            assert!(!rows[..index].contains(row), "{row:?}");
        }
    }

    /// The lines below a heading, up to the next one of the same rank.
    fn section<'a>(text: &'a str, heading: &str) -> Vec<&'a str> {
        let rank = heading.split(' ').next().unwrap_or_default().to_owned() + " ";
        let below = text.lines().skip_while(|line| !line.starts_with(heading)).skip(1);
        below.take_while(|line| !line.starts_with(&rank)).collect()
    }

    fn count(lines: &[&str], is_row: impl Fn(&str) -> bool) -> usize {
        lines.iter().filter(|line| is_row(line)).count()
    }

    /// How many rows the sections of a document hold.
    fn rows_in(number: &str, text: &str) -> usize {
        let all: Vec<&str> = text.lines().collect();
        let trouble = section(text, "## Troubleshooting");
        let numbered = |line: &str| line.starts_with(|first: char| first.is_ascii_digit());
        match number {
            "000" => count(&section(text, "### Post-Provisioning Tests"), numbered),
            "001" => count(&all, |line| {
                ["Error: ", "Retry or Fail", "Log Warning", "may have errors"]
                    .iter()
                    .any(|words| line.contains(words))
            }),
            "003" => count(&trouble, |line| line.starts_with("### ")),
            "004" => {
                let prints = |line: &str| {
                    line.contains("print(")
                        && ["✗", "\"Error: "].iter().any(|sign| line.contains(sign))
                };
                count(&trouble, |line| line.starts_with("- "))
                    + count(&section(text, "## Production Checklist"), |line| {
                        line.starts_with("- [ ]")
                    })
                    + count(&all, prints)
            }
            _ => issues(&all),
        }
    }

    /// Symptoms and numbered hints of each issue.
    fn issues(lines: &[&str]) -> usize {
        let mut is_symptom = false;
        let mut is_issue = false;
        let mut rows = 0;
        for line in lines {
            match *line {
                line if line.starts_with("## ") => is_issue = false,
                line if line.starts_with("### Issue: ") => is_issue = true,
                "**Symptoms:**" => is_symptom = true,
                "**Solutions:**" => is_symptom = false,
                line if is_issue && is_symptom && line.starts_with("- ") => rows += 1,
                line if is_issue
                    && line.starts_with("**")
                    && line[2..].starts_with(|c: char| c.is_ascii_digit()) =>
                {
                    rows += 1
                }
                _ => {}
            }
        }
        rows
    }

    #[test]
    fn every_row_of_the_documents_is_served_or_refused_with_a_reason() {
        let rows = rows();
        for (number, _) in DOCUMENTS {
            let Some(text) = seeds::document(number) else { return };
            let served = rows.iter().filter(|row| row.document == number).count();
            assert_eq!(served, rows_in(number, &text), "document {number}");
        }
    }
}
