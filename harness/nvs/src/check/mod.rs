//! Image → findings: what is wrong, where, what a device makes of it and, where
//! one flipped bit explains it, how it was before.
//!
//! Judges only; it shows no value and changes nothing.

mod code;
mod items;
mod pages;
mod repair;
mod whole;

use std::fmt;

use crate::image::{Image, Location};

pub use code::Code;
pub(crate) use items::{mended_header, mended_payload};
pub(crate) use pages::mended_sequence;
pub use repair::Repair;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; a device reads everything that was meant to be there.
    Note,
    /// A state that a loss of power at a bad moment leaves behind.
    PowerLoss,
    /// Nothing a device or a generator writes, whenever power fails.
    Corruption,
}

impl Severity {
    /// Whether an image with such a finding is not sound.
    pub fn is_damage(self) -> bool {
        self > Severity::Note
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Severity::Note => "note",
            Severity::PowerLoss => "power-loss",
            Severity::Corruption => "corruption",
        })
    }
}

/// One thing that is wrong or worth knowing. Holds no value, so that it can be
/// shown anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Stable name of the kind of finding.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// Page, counted in the order of the flash; none for the whole image.
    pub page: Option<usize>,
    /// Entry of the page.
    pub entry: Option<usize>,
    /// Bytes from the image's start to what is wrong.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
    /// What a device makes of it.
    pub consequence: String,
    /// The bit that would mend it, when that is known.
    pub repair: Option<Repair>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.severity, self.code)?;
        if let Some(page) = self.page {
            write!(f, " page {page}")?;
        }
        if let Some(entry) = self.entry {
            write!(f, " entry {entry}")?;
        }
        write!(f, " at {:#x}: {}; {}", self.offset, self.message, self.consequence)?;
        if let Some(repair) = &self.repair {
            write!(f, " ({repair})")?;
        }
        Ok(())
    }
}

impl Image<'_> {
    /// What is wrong with the image, in the order of the flash.
    pub fn findings(&self) -> Vec<Finding> {
        check(self)
    }
}

/// All findings, in the order of the flash; those of the whole image first.
fn check(image: &Image<'_>) -> Vec<Finding> {
    if let Some(finding) = whole::check_kind(image) {
        return vec![finding];
    }
    let view = image.device_view();
    let mut findings = Vec::new();
    whole::check(image, &view, &mut findings);
    for page in image.pages() {
        pages::check(page, &mut findings);
        items::check(page, &mut findings);
    }
    whole::check_dropped(image, &view, &mut findings);
    findings.sort_by_key(|finding| (finding.page, finding.entry));
    findings
}

impl Finding {
    fn of_page(code: Code, severity: Severity, page: usize, offset: usize) -> Self {
        Self {
            code,
            severity,
            page: Some(page),
            entry: None,
            offset,
            message: String::new(),
            consequence: String::new(),
            repair: None,
        }
    }

    fn at(code: Code, severity: Severity, location: Location) -> Self {
        Self {
            entry: Some(location.entry),
            ..Self::of_page(code, severity, location.page, location.offset())
        }
    }

    fn of_image(code: Code, severity: Severity, offset: usize) -> Self {
        Self { page: None, ..Self::of_page(code, severity, 0, offset) }
    }

    fn saying(mut self, message: impl Into<String>, consequence: impl Into<String>) -> Self {
        self.message = message.into();
        self.consequence = consequence.into();
        self
    }
}
