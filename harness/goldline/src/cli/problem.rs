//! Errors of the layers below as miette shows them: message, place in the file, help.

use std::{error::Error, fmt};

use miette::{Diagnostic, LabeledSpan, MietteHandlerOpts, NamedSource, Report, SourceCode};

use crate::{
    profile::{CatalogError, ProfileError},
    record::Code,
    station::{OrderError, StationError},
    store::StoreError,
};

/// Leaves line breaks to the terminal: a path or a `file:line:column` that is broken in the middle can
/// neither be found nor copied.
pub(super) fn keep_lines_whole() {
    // Set already only when one process calls the command line twice, and then to the same.
    let _set = miette::set_hook(Box::new(|_| {
        Box::new(MietteHandlerOpts::new().wrap_lines(false).build())
    }));
}

/// Turns any error into a report.
pub(super) fn usage(error: impl fmt::Display) -> Report {
    miette::miette!("{error}")
}

/// A report with advice.
pub(super) fn usage_with_help(error: impl fmt::Display, help: impl fmt::Display) -> Report {
    miette::miette!(help = help.to_string(), "{error}")
}

/// A profile that cannot be had; a faulty file is shown with the place of each problem.
pub(super) fn of_catalog(error: CatalogError) -> Report {
    match error {
        CatalogError::Profile(error) => Report::new(FaultyProfile::from(error)),
        error => usage(error),
    }
}

/// The state directory cannot be used, which is no fault of the arguments.
pub(super) fn of_store(error: StoreError) -> Report {
    match error {
        StoreError::NoHome => usage(error),
        error => Report::new(StateFault(error.to_string())),
    }
}

/// What a station refuses or fails at, with what to do about it.
pub(super) fn of_station(error: impl Into<StationError>) -> Report {
    match error.into() {
        StationError::Order(OrderError::Profile(error)) => of_catalog(error),
        error if error.is_of_state() => Report::new(StateFault(error.to_string())),
        error => match error.action() {
            Some(action) => usage_with_help(error, action),
            None => usage(error),
        },
    }
}

/// What is wrong with the state directory; its message says what to do.
#[derive(Debug)]
pub(super) struct StateFault(String);

impl StateFault {
    /// For programs.
    pub(super) fn json(&self) -> serde_json::Value {
        let code = Code::StationState;
        serde_json::json!({ "error": { "code": code, "message": self.0, "action": code.action() } })
    }
}

impl fmt::Display for StateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for StateFault {}

impl Diagnostic for StateFault {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(Code::StationState.as_str()))
    }
}

/// A profile with its problems, each at its place.
#[derive(Debug)]
struct FaultyProfile {
    error: ProfileError,
    source: NamedSource<String>,
}

impl From<ProfileError> for FaultyProfile {
    fn from(error: ProfileError) -> Self {
        let source = NamedSource::new(error.file(), error.text().to_owned());
        Self { error, source }
    }
}

impl fmt::Display for FaultyProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl Error for FaultyProfile {}

impl Diagnostic for FaultyProfile {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new("profile.invalid"))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let advice: Vec<String> =
            self.error.problems().iter().filter_map(|located| located.problem.help()).collect();
        (!advice.is_empty()).then(|| Box::new(advice.join("\n")) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.error.problems().iter().map(|located| {
            LabeledSpan::new_with_span(Some("here".to_owned()), located.span.clone())
        })))
    }
}
