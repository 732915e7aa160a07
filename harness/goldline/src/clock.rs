//! The time of day and the time that has passed, as one seam that a test can drive.
//!
//! Must not know what is timed. Waiting itself is tokio's; a test pauses tokio's clock.

use std::{sync::Arc, time::Duration};

use time::OffsetDateTime;
use tokio::time::Instant;

/// Tells the wall-clock time of records and certificates.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> OffsetDateTime + Send + Sync>);

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

impl Clock {
    /// The machine's own clock, in UTC.
    pub fn system() -> Self {
        Self(Arc::new(OffsetDateTime::now_utc))
    }

    /// A clock that stands still, for tests and goldens.
    pub fn fixed(at: OffsetDateTime) -> Self {
        Self(Arc::new(move || at))
    }

    /// The time of day, UTC.
    pub fn now(&self) -> OffsetDateTime {
        (self.0)()
    }
}

/// A point in time after which waiting is given up.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    started: Instant,
    allowed: Duration,
}

impl Deadline {
    /// Starts now and ends after `allowed`.
    pub fn after(allowed: Duration) -> Self {
        Self { started: Instant::now(), allowed }
    }

    /// When it ends.
    pub fn instant(&self) -> Instant {
        self.started + self.allowed
    }

    /// How long the whole wait may be.
    pub fn allowed(&self) -> Duration {
        self.allowed
    }

    /// What is left of it; zero when it has passed.
    pub fn left(&self) -> Duration {
        self.instant().saturating_duration_since(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_counts_down_with_tokios_clock() {
        let deadline = Deadline::after(Duration::from_secs(3));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(deadline.left(), Duration::from_secs(1));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(deadline.left(), Duration::ZERO);
    }
}
