//! Which tests did not run, by name: nextest alone only counts those marked ignored, and takes a test
//! that finds a program or a file missing for a pass.
//!
//! A test that cannot do its work prints a line that starts with `skipped: ` and returns; nextest
//! keeps that line in its JUnit file.

use std::{fmt, fs, io, path::PathBuf};

use serde_json::Value;

use crate::{Outcome, workspace};

const SIGN: &str = "skipped: ";

/// What even a CI need not have, with why.
const GOOD_REASONS: [(&str, &str); 7] = [
    (
        "there are no vectors at ../shared/vectors/nvs beside the repository",
        "they are others', and an extra: the project brings all the files that its tests need",
    ),
    (
        "there are no documents at ../shared/seeds beside the repository",
        "they are others' and not the project's to give away: what is served of them stands in fixtures/troubleshooting.tsv and fixtures/documents.tsv",
    ),
    (
        "GOLDLINE_TEST_QEMU names no folder with a real QEMU",
        "no package registry has Espressif's; the stand-in is held to what a real one said",
    ),
    (
        "this user must not listen at port 53",
        "a guest behind NAT asks for names there, and a CI need not be root",
    ),
    (
        "this user must not mount",
        "a disk that is full needs a mount, which a container's root may lack the right to",
    ),
    (
        "only root can become another user",
        "what another user is told of a port needs one, and a CI need not be root",
    ),
    (
        "root writes into every folder",
        "a CI runs as root, for a test that makes device nodes; the two cannot run in one session",
    ),
];

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
    taken_for_run: usize,
    tests: Vec<SkippedTest>,
}

/// One of them.
#[derive(Debug, PartialEq)]
struct SkippedTest {
    name: String,
    reasons: Vec<String>,
}

impl Skipped {
    /// Names and counts them; says nothing when there are none.
    pub fn print(&self) {
        if self.tests.is_empty() {
            return;
        }
        let (count, of) = (self.tests.len(), self.taken_for_run);
        println!("\n== skipped, for want of a program or a file: {count} of the {of} tests above");
        self.tests.iter().for_each(|test| println!("   {test}"));
    }

    /// What a CI says: it has to have everything but what stands in [`GOOD_REASONS`].
    ///
    /// # Errors
    /// When a test skipped itself for another reason.
    pub fn refusal(&self) -> Outcome {
        let is_good = |reason: &String| GOOD_REASONS.iter().any(|(good, _)| good == reason);
        let bad = self.tests.iter().filter(|test| !test.reasons.iter().all(is_good));
        let bad: Vec<String> = bad.map(|test| format!("   {test}")).collect();
        if bad.is_empty() {
            return Ok(());
        }
        Err(format!(
            "{} skipped in a CI: install what is missing, see ci/install\n{}",
            bad.len(),
            bad.join("\n")
        ))
    }
}

impl fmt::Display for SkippedTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.reasons.join("; "))
    }
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
            skipped.tests.push(SkippedTest { name: format!("{binary} {name}"), reasons });
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

    fn shown(skipped: &Skipped) -> Vec<String> {
        skipped.tests.iter().map(ToString::to_string).collect()
    }

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
        assert_eq!(shown(&skipped), expected);
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
        assert_eq!(shown(&skipped_in(&junit)), expected);
    }

    #[test]
    fn a_ci_takes_no_skip_but_those_with_a_good_reason() {
        let of = |reasons: &[&str]| {
            let reasons = reasons.iter().map(|&reason| reason.to_owned()).collect();
            let test = SkippedTest { name: "goldline::peers two".to_owned(), reasons };
            Skipped { taken_for_run: 1, tests: vec![test] }
        };
        let good = GOOD_REASONS[0].0;
        assert_eq!(Skipped::default().refusal(), Ok(()));
        assert_eq!(of(&[good]).refusal(), Ok(()));
        for bad in [&["no mosquitto"][..], &[good, "no mosquitto"]] {
            let refusal = of(bad).refusal().expect_err("refused");
            assert!(refusal.contains("goldline::peers two"), "{refusal}");
        }
    }
}
