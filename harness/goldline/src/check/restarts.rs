//! Which resets of a unit were asked for, and which it made by itself.
//!
//! Counts what the log says; knows no patterns, and must not judge how many are too many.

/// The resets of a unit since the bench reset it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Restarts {
    /// The bench's own reset was heard.
    begun: bool,
    by_itself: usize,
    /// Of these, those that no firmware makes on purpose.
    crashes: usize,
    /// Restarts that were asked for and did not come yet.
    asked_for: usize,
    /// Resets for any reason that are to come: an update that is rolled back crashes first.
    excused: usize,
    /// The port was away, and of one reset, if there was any, the ROM's words may come yet.
    missed: bool,
    /// It was away before the bench's own reset was heard: which of the two was heard then nobody knows, and the supply
    /// may have gone with the port.
    owes_power: bool,
    start: Start,
}

/// Why the ROM says that the chip was reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reason {
    /// By its firmware.
    Software,
    /// Its supply came, or somebody pulled EN: nothing that a firmware does.
    PowerOn,
    /// A watchdog, a supply that broke down.
    Other,
}

/// The present start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Start {
    /// The ROM has begun to load the bootloader.
    loaded: bool,
    application: bool,
    crashed: bool,
    /// The ROM spoke after the application: the line of a reset was lost.
    greeted: bool,
}

impl Restarts {
    /// The unit was told to restart, once.
    pub(super) fn ask(&mut self) {
        self.asked_for += 1;
    }

    /// The unit will reset once more, for whatever reason.
    pub(super) fn excuse(&mut self) {
        self.excused += 1;
    }

    /// A crash was printed; its reset follows, and its line may be lost.
    pub(super) fn crash(&mut self) {
        self.start.crashed = true;
    }

    /// The ROM says that the chip was reset.
    pub(super) fn reset(&mut self, reason: Reason) {
        let crashed = self.start.crashed;
        self.start = Start::default();
        if !crashed && std::mem::take(&mut self.missed) {
            self.owes_power = !std::mem::replace(&mut self.begun, true);
            return;
        }
        if !crashed && reason == Reason::PowerOn && std::mem::take(&mut self.owes_power) {
            return;
        }
        if !std::mem::replace(&mut self.begun, true) && !crashed {
            return;
        }
        let on_purpose = !crashed && reason == Reason::Software;
        if on_purpose && self.asked_for > 0 {
            self.asked_for -= 1;
        } else if self.excused > 0 {
            self.excused -= 1;
        } else {
            self.by_itself += 1;
            self.crashes += usize::from(!on_purpose);
        }
    }

    /// The ROM says what it is, or how it is set up.
    pub(super) fn greet(&mut self) {
        self.start.greeted = self.start.application;
    }

    /// The ROM loads or starts the bootloader. Behind an application, the line of a reset was lost, and
    /// nobody knows its reason.
    pub(super) fn load(&mut self) {
        if self.start.greeted {
            self.reset(Reason::Software);
        }
        self.begun = true;
        self.start.loaded = true;
    }

    /// The port was away: the chip may have been reset, asked for or not, and nobody can hold that against the unit.
    /// A crash that was heard before is its own.
    pub(super) fn miss_reset(&mut self) {
        if self.start.crashed {
            self.reset(Reason::Other);
        } else if self.asked_for > 0 {
            self.asked_for -= 1;
        } else {
            self.excused = self.excused.saturating_sub(1);
        }
        self.missed = true;
        self.start = Start { loaded: true, ..Start::default() };
    }

    /// The unit was not heard for a while: where the ROM has loaded nothing yet, it may have.
    pub(super) fn miss_words(&mut self) {
        self.start.loaded = true;
    }

    /// An application starts. After a crash, the chip was reset unheard.
    pub(super) fn application(&mut self) {
        if self.start.crashed {
            self.reset(Reason::Other);
        }
        self.start.application = true;
    }

    /// Whether any line but the bootloader's would be the application's first.
    pub(super) fn awaits_application(&self) -> bool {
        self.start.loaded && !self.start.application && !self.start.crashed
    }

    /// How often the unit crashed, hung or lost its supply.
    pub(super) fn crashes(&self) -> usize {
        self.crashes + usize::from(self.start.crashed)
    }

    /// How often the unit reset or crashed by itself.
    pub(super) fn by_itself(&self) -> usize {
        self.by_itself + usize::from(self.start.crashed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(events: &[&str]) -> usize {
        let mut restarts = Restarts::default();
        for event in events {
            match *event {
                "ask" => restarts.ask(),
                "excuse" => restarts.excuse(),
                "crash" => restarts.crash(),
                "app" => restarts.application(),
                "rom" => restarts.greet(),
                "load" => restarts.load(),
                "away" => restarts.miss_reset(),
                SOFT => restarts.reset(Reason::Software),
                BENCH => restarts.reset(Reason::PowerOn),
                _ => restarts.reset(Reason::Other),
            }
        }
        restarts.by_itself()
    }

    const BENCH: &str = "POWERON_RESET";
    const SOFT: &str = "SW_CPU_RESET";

    #[test]
    fn a_restart_that_was_asked_for_is_no_crash() {
        assert_eq!(after(&[BENCH, "app", "ask", SOFT, "app"]), 0);
        assert_eq!(after(&[BENCH, "app", SOFT, "app"]), 1, "nobody asked");
        assert_eq!(after(&[BENCH, "app", "ask", SOFT, "app", SOFT]), 1, "it was asked once");
        assert_eq!(after(&[BENCH, "app", "ask", "crash", SOFT]), 1, "it crashed on the way");
        assert_eq!(after(&[BENCH, "app", "ask", "TG0WDT_SYS_RESET"]), 1, "it hung");
    }

    #[test]
    fn a_restart_counts_whose_line_was_lost() {
        let start = ["rom", BENCH, "rom", "load", "load", "app"];
        let lost = ["rom", "rom", "load", "load", "app"];
        assert_eq!(after(&start), 0);
        assert_eq!(after(&[&start[..], &["ask"], &lost].concat()), 0);
        assert_eq!(after(&[&start[..], &lost].concat()), 1, "nobody asked");
        assert_eq!(after(&[&start[..], &["crash"], &lost].concat()), 1);
        assert_eq!(after(&[&lost[..], &["rom", SOFT, "load", "app"]].concat()), 1, "the bench's");
        let mistaken = ["rom", BENCH, "rom", "load", "app", "load", "load"];
        assert_eq!(after(&mistaken), 0, "a line of the ROM's that looked like an application's");
    }

    #[test]
    fn a_port_that_was_away_excuses_one_reset() {
        let start = [BENCH, "load", "app"];
        let then = |events: &[&'static str]| after(&[&start[..], events].concat());
        assert_eq!(after(&["away", BENCH, "load", "app"]), 0, "the bench's own came behind it");
        let twice = ["away", BENCH, "load", "app", BENCH, "load", "app"];
        assert_eq!(after(&twice), 0, "the bench's own, and the supply went with the port");
        assert_eq!(after(&[&twice[..], &[BENCH]].concat()), 1);
        assert_eq!(after(&["away", BENCH, "app", "TG1WDT_SYS_RESET"]), 1, "it hung");
        assert_eq!(after(&["away", BENCH, "app", "crash", BENCH]), 1, "it crashed");
        assert_eq!(then(&["away"]), 0, "a bridge went and came back");
        assert_eq!(then(&["away", "app", "away", "app", "away", "app"]), 0);
        assert_eq!(then(&["away", "rom", BENCH, "load", "app"]), 0, "the chip went with it");
        assert_eq!(then(&["away", "rom", "load", "app"]), 0, "and the line of its reset was lost");
        assert_eq!(then(&["away", BENCH, "app", BENCH]), 1, "one");
        assert_eq!(then(&["ask", "away", SOFT, "app"]), 0);
        assert_eq!(then(&["ask", "away", SOFT, "app", SOFT]), 1, "it was asked once");
        assert_eq!(then(&["ask", "away", "app", SOFT, "app"]), 0, "it went before the restart");
        assert_eq!(then(&["crash", "away", BENCH, "app"]), 1, "the crash was heard");
    }

    #[test]
    fn a_roll_back_may_crash_once() {
        let update = [BENCH, "app", "ask", "excuse", SOFT, "app", "crash", SOFT, "app"];
        assert_eq!(after(&update), 0);
        assert_eq!(after(&[&update[..], &["crash", SOFT]].concat()), 1);
    }

    #[test]
    fn a_crash_counts_once_with_its_reset_and_without() {
        assert_eq!(after(&[BENCH, "crash", SOFT]), 1);
        assert_eq!(after(&[BENCH, "crash", "crash"]), 1);
        assert_eq!(after(&[BENCH, "app", "crash", "app", "crash", "app"]), 2);
        assert_eq!(after(&["crash", SOFT]), 1, "before the bench's own reset was heard");
    }
}
