//! How a test asks for a verdict, and what it says when there is another.

use std::{error::Error, fmt};

use crate::{
    record::Record,
    verdict::{Outcome, Verdict},
};

/// A run that did not end as PASS; its text has all that a test's output needs.
#[derive(Clone, PartialEq, Debug)]
pub struct NotPassed {
    /// `None` when the unit was only provisioned.
    pub verdict: Option<Verdict>,
    text: String,
}

impl fmt::Display for NotPassed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for NotPassed {}

impl Record {
    /// Itself after a PASS.
    ///
    /// # Errors
    /// [`NotPassed`] after any other verdict, and without one: which unit, why, what to do, and the checks that
    /// did not pass with their evidence.
    pub fn passed(&self) -> Result<&Self, NotPassed> {
        match self.verdict {
            Some(Verdict::Pass) => Ok(self),
            verdict => Err(NotPassed { verdict, text: self.text() }),
        }
    }

    /// Panics unless the unit passed, with the text of [`NotPassed`].
    #[track_caller]
    pub fn assert_pass(&self) {
        if let Err(error) = self.passed() {
            panic!("{error}");
        }
    }

    /// Panics unless the unit failed for that reason: for tests that give a bad unit on purpose.
    #[track_caller]
    pub fn assert_fail(&self, code: &str) {
        let found = self.diagnosis.as_ref().map(|diagnosis| diagnosis.code.as_str());
        let is_it = self.verdict == Some(Verdict::Fail) && found == Some(code);
        assert!(is_it, "expected FAIL with {code}: {}", self.text());
    }

    fn text(&self) -> String {
        let verdict = match self.verdict {
            Some(Verdict::Pass) => "PASS",
            Some(Verdict::Fail) => "FAIL: the unit is bad",
            Some(Verdict::Error) => {
                "ERROR: station or testbed is at fault, nothing is said of the unit"
            }
            Some(Verdict::Aborted) => "ABORTED",
            None => "no verdict: the unit was provisioned only",
        };
        let unit = self.unit.mac.as_deref().unwrap_or("unknown unit");
        let mut text = format!("{verdict}\n{} {unit} (run {})\n", self.profile, self.run_id);
        if let Some(why) = &self.diagnosis {
            text += &format!("why   {} ({})\ndo    {}\n", why.message, why.code, why.action);
        }
        for check in self.checks.iter().filter(|check| check.outcome != Outcome::Pass) {
            text += &format!("{:?} {}\n", check.outcome, check.id);
            text.extend(check.evidence.iter().map(|evidence| format!("      {evidence}\n")));
        }
        text
    }
}
