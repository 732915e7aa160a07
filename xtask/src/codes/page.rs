//! CODES.md as text: codes as `goldline codes --json` prints them, and the documents' rows → Markdown.

use std::fmt::Write;

use serde_json::Value;

use super::documents::{DOCUMENTS, Row};

const HEAD: &str = "\
# Diagnosis codes

Every reason for which Goldline says something else than PASS: `diagnosis.code` of a record. A code is stable, and
never used again for another reason. `goldline codes CODE` prints what stands here; the record's own `action` may
know more of the case at hand.

This page is made by `cargo xtask codes --accept`, of `harness/goldline/src/record/code/` and of
`fixtures/troubleshooting.tsv`: change those.
";

/// The whole page; fails on a code that the documents' rows name and nobody has.
pub fn page(codes: &Value, rows: &[Row]) -> Result<String, String> {
    let codes = codes.as_array().ok_or("goldline codes --json: expected a list")?;
    let codes = codes.iter().map(Code::read).collect::<Result<Vec<_>, _>>()?;
    for name in rows.iter().flat_map(|row| &row.codes) {
        if !codes.iter().any(|code| code.name == name) {
            return Err(format!("{}: there is no code \"{name}\"", super::documents::TABLE));
        }
    }
    let mut areas: Vec<&str> = codes.iter().map(|code| code.area).collect();
    areas.dedup();
    let mut text = HEAD.to_owned();
    text += &contents(&areas, &codes);
    for area in areas {
        add(&mut text, &format!("\n## {area}"));
        for code in codes.iter().filter(|code| code.area == area) {
            code.add_to(&mut text);
        }
    }
    add_documents(&mut text, rows);
    Ok(text)
}

/// A code with all that is said of it.
struct Code<'a> {
    name: &'a str,
    area: &'a str,
    symptom: &'a str,
    causes: Vec<&'a str>,
    operator: &'a str,
    engineer: &'a str,
}

impl<'a> Code<'a> {
    fn read(value: &'a Value) -> Result<Self, String> {
        let missing = |name: &str| format!("goldline codes --json: no {name} in {value}");
        let field = |name: &str| value[name].as_str().ok_or_else(|| missing(name));
        let causes = value["causes"].as_array().ok_or_else(|| missing("causes"))?;
        Ok(Self {
            name: field("code")?,
            area: field("area")?,
            symptom: field("symptom")?,
            causes: causes.iter().filter_map(Value::as_str).collect(),
            operator: field("operator")?,
            engineer: field("engineer")?,
        })
    }

    fn add_to(&self, text: &mut String) {
        add(text, &format!("\n### `{}`\n\n{}\n", self.name, self.symptom));
        for (index, cause) in self.causes.iter().enumerate() {
            add(text, &format!("{}. {cause}", index + 1));
        }
        add(text, &format!("\n- **Operator:** {}", self.operator));
        add(text, &format!("- **Engineer:** {}", self.engineer));
    }
}

fn contents(areas: &[&str], codes: &[Code<'_>]) -> String {
    let mut text = "\n| area | codes |\n| --- | --- |\n".to_owned();
    for area in areas {
        let of_area = codes.iter().filter(|code| code.area == *area);
        let links: Vec<String> = of_area.map(|code| link(code.name)).collect();
        add(&mut text, &format!("| {area} | {} |", links.join(", ")));
    }
    text
}

fn add_documents(text: &mut String, rows: &[Row]) {
    add(text, "\n## What the documents call it\n");
    add(
        text,
        "The rows of the products' troubleshooting sections in our own words, and what Goldline says there.",
    );
    for (number, title) in DOCUMENTS {
        add(text, &format!("\n### Document {number}: {title}\n"));
        add(text, "| section | what it says | codes | remark |\n| --- | --- | --- | --- |");
        for row in rows.iter().filter(|row| row.document == number) {
            let codes = match row.codes.as_slice() {
                [] => "not served".to_owned(),
                codes => codes.iter().map(|code| link(code)).collect::<Vec<_>>().join(", "),
            };
            add(text, &format!("| {} | {} | {codes} | {} |", row.section, row.says, row.remark));
        }
    }
}

/// To the heading of the code, whose anchor has no dots.
fn link(code: &str) -> String {
    format!("[`{code}`](#{})", code.replace('.', ""))
}

fn add(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes every line");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(code: &str) -> Row {
        let [document, section, says] = ["003", "Ports", "cannot open"].map(str::to_owned);
        let codes = if code.is_empty() { Vec::new() } else { vec![code.to_owned()] };
        Row { document, section, says, codes, remark: "it depends".to_owned() }
    }

    fn codes() -> Value {
        json!([{
            "code": "port.unusable", "area": "Port", "symptom": "It cannot be used.",
            "causes": ["it is absent", "it is held"], "operator": "call", "engineer": "look",
        }])
    }

    #[test]
    fn a_code_is_told_once_and_linked_to() {
        let page = page(&codes(), &[row("port.unusable"), row("")]).expect("a page");
        let told = "## Port\n\n### `port.unusable`\n\nIt cannot be used.\n\n1. it is absent\n2. it is \
                    held\n\n- **Operator:** call\n- **Engineer:** look\n";
        assert!(page.contains(told), "{page}");
        assert!(page.contains("| Port | [`port.unusable`](#portunusable) |"), "{page}");
        let served = "| Ports | cannot open | [`port.unusable`](#portunusable) | it depends |\n";
        assert!(page.contains(served), "{page}");
        assert!(page.contains("| Ports | cannot open | not served | it depends |\n"), "{page}");
    }

    #[test]
    fn a_row_with_a_code_that_nobody_has_is_an_error() {
        let error = page(&codes(), &[row("port.gone")]).expect_err("refused");
        assert!(error.ends_with("there is no code \"port.gone\""), "{error}");
    }
}
