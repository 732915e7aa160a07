//! What a log says of a start that no wait outlasts: facts outrank whatever was waited for.
//!
//! Facts → diagnosis. Must not know what was waited for.

use super::LogFacts;
use crate::record::{Code, Diagnosis};

/// This many resets that nobody asked for are a loop.
const LOOP: usize = 3;

/// Why a unit will not do what it is waited for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BootFact {
    /// There is nothing that it could run: no further start will find it.
    ImageRefused(String),
    /// It resets again and again.
    Loop {
        /// How often it did by itself.
        times: usize,
        /// The last reset's.
        reason: String,
        /// The line that tells most of it.
        line: Option<String>,
        /// Whether its firmware restarts it each time, as many do that find no network or no broker: then
        /// it is the unit's own only where a witness found those.
        on_purpose: bool,
    },
}

impl LogFacts {
    /// What ends every wait, if there is anything.
    pub fn boot_fact(&self) -> Option<BootFact> {
        if let Some(line) = self.image_refused.as_ref().filter(|_| self.has_nothing_to_run()) {
            return Some(BootFact::ImageRefused(line.clone()));
        }
        self.is_boot_loop().then(|| BootFact::Loop {
            times: self.unexpected_resets(),
            reason: self.last_reset().to_owned(),
            line: self.cause_of_resets(),
            on_purpose: self.crashes() == 0 && self.has_application(),
        })
    }

    /// Whether the unit resets again and again.
    pub fn is_boot_loop(&self) -> bool {
        self.unexpected_resets() >= LOOP
    }

    /// Whether its firmware restarts the unit again and again, and it does not crash.
    pub fn restarts_on_purpose(&self) -> bool {
        matches!(self.boot_fact(), Some(BootFact::Loop { on_purpose: true, .. }))
    }

    /// Whether anything ends every wait: as [`Self::boot_fact`], at less expense.
    pub fn ends_waiting(&self) -> bool {
        self.has_nothing_to_run() || self.is_boot_loop()
    }

    /// What is to be said of a unit that did not do what it was waited for, where its log tells why. One
    /// crash, too, is the cause of whatever was missing after it.
    pub fn cause(&self) -> Option<Diagnosis> {
        if let Some(fact) = self.boot_fact() {
            return Some(fact.diagnosis());
        }
        if self.crashes() > 0 {
            return Some(self.crash());
        }
        let refused = self.image_refused.as_ref().filter(|_| !self.has_application())?;
        Some(BootFact::ImageRefused(refused.clone()).diagnosis())
    }

    fn crash(&self) -> Diagnosis {
        let line = self.cause_of_resets().map_or_else(String::new, |line| format!("; {line}"));
        let message = format!(
            "the unit reset {} times by itself ({}){line}",
            self.unexpected_resets(),
            self.resets.join(", ")
        );
        Diagnosis::new(Code::BootUnexpectedReset, message)
    }

    fn cause_of_resets(&self) -> Option<String> {
        let refused = self.image_refused.as_ref().filter(|_| !self.has_application());
        let refused = refused.map(|line| format!("the boot loader says: {line}"));
        self.panic.clone().or(refused)
    }

    /// Whether the supply broke down at any time.
    pub fn lost_supply(&self) -> bool {
        let said = self.panic.as_ref().is_some_and(|line| line.contains("Brownout"));
        said || self.resets.iter().any(|reason| reason.contains("BROWN"))
    }

    fn last_reset(&self) -> &str {
        self.resets.last().map_or("unknown", String::as_str)
    }
}

impl BootFact {
    /// What is said of it.
    pub fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::ImageRefused(line) => {
                Diagnosis::new(Code::BootImageRefused, format!("the boot loader says: {line}"))
            }
            Self::Loop { times, reason, line, .. } => {
                let line = line.as_deref().unwrap_or("no panic was printed");
                let message =
                    format!("the unit reset {times} times by itself (last: {reason}); {line}");
                Diagnosis::new(Code::BootLoop, message)
            }
        }
    }
}
