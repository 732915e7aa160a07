//! Which tests did not run, by name: nextest alone only counts those marked ignored, and takes a test
//! that finds a program or a file missing for a pass.
//!
//! A test that cannot do its work prints a line that starts with `skipped: ` and returns; nextest
//! keeps that line in its JUnit file.

use std::{fs, io, path::PathBuf};

use serde_json::Value;

use crate::{Outcome, workspace};

const SIGN: &str = "skipped: ";

/// The tests that are marked ignored, in the answer to `cargo nextest list`.
pub fn ignored(list: &Value) -> Vec<String> {
    let mut names = Vec::new();
    for (binary, suite) in list["rust-suites"].as_object().into_iter().flatten() {
        for (test, case) in suite["testcases"].as_object().into_iter().flatten() {
            if case["ignored"] == true {
                names.push(format!("{binary} {test}"));
            }
        }
    }
    names
}

/// What one profile of nextest leaves behind.
pub struct JunitFile(PathBuf);

impl JunitFile {
    /// Where `.config/nextest.toml` has it written.
    pub fn of(profile: &str) -> Self {
        Self(workspace::root().join("target/nextest").join(profile).join("junit.xml"))
    }

    /// Removes that of an earlier run, which would tell of tests long gone.
    pub fn discard(&self) -> Outcome {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(format!("cannot remove {}: {error}", self.0.display()))
            }
            _ => Ok(()),
        }
    }

    /// Which tests skipped themselves; none when nothing ran.
    pub fn skipped_themselves(&self) -> Skipped {
        fs::read_to_string(&self.0).map(|text| skipped_in(&text)).unwrap_or_default()
    }
}

/// The tests that skipped themselves.
#[derive(Debug, Default, PartialEq)]
pub struct Skipped {
    /// All that nextest took for run, each case of a test counting as one.
    pub taken_for_run: usize,
    /// Each one's name, with its reasons.
    pub tests: Vec<String>,
}

fn skipped_in(junit: &str) -> Skipped {
    let mut skipped = Skipped::default();
    for case in junit.split("<testcase ").skip(1) {
        let (name, binary) = (attribute(case, "name"), attribute(case, "classname"));
        // Each tag on a line of its own leaves the lines as the test printed them.
        let printed = case.replace('<', "\n<").replace('>', ">\n");
        let reasons = printed.lines().filter_map(|line| line.strip_prefix(SIGN));
        let reasons: Vec<_> = reasons.map(|reason| unescaped(reason.trim())).collect();
        skipped.taken_for_run += 1;
        if !reasons.is_empty() {
            skipped.tests.push(format!("{binary} {name} ({})", reasons.join("; ")));
        }
    }
    skipped
}

/// The value of the first attribute of that name.
fn attribute<'a>(case: &'a str, name: &str) -> &'a str {
    let value = case.split_once(&format!("{name}=\"")).map_or("", |(_, value)| value);
    value.split('"').next().unwrap_or_default()
}

fn unescaped(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    text.replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_ignored_tests_are_named_as_ignored() {
        let list = json!({ "rust-suites": { "goldline::qc": { "testcases": {
            "espvault::wifi_join": { "ignored": false },
            "nodecheck::wifi_join": { "ignored": true },
        }}}});
        assert_eq!(ignored(&list), ["goldline::qc nodecheck::wifi_join"]);
    }

    #[test]
    fn a_test_that_skips_itself_is_named_with_its_reason() {
        let junit = r#"<testsuites><testsuite name="goldline::peers">
            <testcase name="m::one" classname="goldline::peers" time="0.1"><system-out>
running 1 test
skipped: &quot;openssl&quot; is not installed
test m::one ... ok
</system-out><system-err></system-err></testcase>
            <testcase name="two" classname="goldline::peers"><system-err>skipped: no mosquitto</system-err></testcase>
            <testcase name="three" classname="goldline::peers"><system-out>nothing was skipped: fine
</system-out></testcase></testsuite></testsuites>"#;
        let expected = [
            "goldline::peers m::one (\"openssl\" is not installed)",
            "goldline::peers two (no mosquitto)",
        ];
        let skipped = skipped_in(junit);
        assert_eq!(skipped.tests, expected);
        assert_eq!(skipped.taken_for_run, 3);
    }

    #[test]
    fn each_case_of_a_test_counts_and_a_test_with_two_reasons_counts_once() {
        let case = |number: u8| {
            format!(
                r#"<testcase name="m::t::case_{number}_x" classname="nvs::codec"><system-out>
running 1 test
skipped: no images
skipped: no keys
</system-out></testcase>"#
            )
        };
        let junit = format!("<testsuites>{}{}</testsuites>", case(1), case(2));
        let expected =
            [1, 2].map(|number| format!("nvs::codec m::t::case_{number}_x (no images; no keys)"));
        assert_eq!(skipped_in(&junit).tests, expected);
    }
}
