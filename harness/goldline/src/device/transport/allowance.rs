//! How long a port elsewhere may take to open, whatever it takes its time for.

use std::{
    io,
    time::{Duration, Instant},
};

/// An end for all steps together, and somebody who may want no more of it.
pub(in crate::device) struct Allowance<'a> {
    until: Instant,
    given_up: &'a dyn Fn() -> bool,
}

impl<'a> Allowance<'a> {
    /// So long from now on, unless it is given up.
    pub(in crate::device) fn new(limit: Duration, given_up: &'a dyn Fn() -> bool) -> Self {
        Self { until: Instant::now() + limit, given_up }
    }

    /// What one step may have of it.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] when nothing is left.
    pub(super) fn step(&self, limit: Duration) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        match left.is_zero() || (self.given_up)() {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => Ok(left.min(limit)),
        }
    }
}
