//! The command line: arguments, exit codes, and the only place that knows miette.

pub mod profile;
