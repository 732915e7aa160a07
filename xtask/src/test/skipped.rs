//! Which tests did not run, by name: nextest alone only counts those marked ignored, and takes a test
//! that finds its peer missing for a pass.
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

    /// Each test that skipped itself, with its reason; none when nothing ran.
    pub fn skipped_themselves(&self) -> Vec<String> {
        fs::read_to_string(&self.0).map(|text| skipped_in(&text)).unwrap_or_default()
    }
}

fn skipped_in(junit: &str) -> Vec<String> {
    let mut skipped = Vec::new();
    for case in junit.split("<testcase ").skip(1) {
        let (name, binary) = (attribute(case, "name"), attribute(case, "classname"));
        // Each tag on a line of its own leaves the lines as the test printed them.
        let printed = case.replace('<', "\n<").replace('>', ">\n");
        for reason in printed.lines().filter_map(|line| line.strip_prefix(SIGN)) {
            skipped.push(format!("{binary} {name} ({})", unescaped(reason.trim())));
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
        assert_eq!(skipped_in(junit), expected);
    }
}
