//! How often a unit may ask for something that leaves a line in a log.

use std::time::Instant;

/// What may come at once.
const BURST: u64 = 2000;
/// What comes back with each millisecond: a thousand a second, and no firmware begins as many connections.
const EACH_MS: u64 = 1;

/// Takes what comes at a steady pace, and refuses what comes faster for long.
#[derive(Debug)]
pub(super) struct Pace {
    left: u64,
    counted: Instant,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { left: BURST, counted: Instant::now() }
    }

    /// Whether one more is taken.
    pub(super) fn takes(&mut self) -> bool {
        self.takes_at(Instant::now())
    }

    fn takes_at(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.counted).as_millis();
        if passed > 0 {
            let back = u64::try_from(passed).unwrap_or(BURST).saturating_mul(EACH_MS);
            self.left = self.left.saturating_add(back).min(BURST);
            self.counted = now;
        }
        let takes = self.left > 0;
        self.left -= u64::from(takes);
        takes
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_flood_is_let_through_at_the_pace_and_no_faster() {
        let mut pace = Pace::new();
        let began = pace.counted;
        let taken = |pace: &mut Pace, at| (0..10_000).filter(|_| pace.takes_at(at)).count();
        assert_eq!(taken(&mut pace, began), 2000, "what comes at once");
        assert_eq!(taken(&mut pace, began + Duration::from_millis(30)), 30, "and then a few");
        let later = began + Duration::from_secs(60);
        assert_eq!(taken(&mut pace, later), 2000, "who was quiet has all of it again");
    }
}
