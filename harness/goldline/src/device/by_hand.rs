//! A unit that somebody leads into its loader or its application by its buttons: asked for, and believed by what the
//! unit shows. What a person says of it is a reason to look, and no proof.
//!
//! Must not know who is asked, or how.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Absence, BootMode, Console, line::Line, reset_error::ResetError};

/// Puts a request to whoever has the buttons at hand; `None` when it was given up before it was their turn. Blocks until
/// nobody is asked for another unit.
pub type AskHand =
    Arc<dyn Fn(&str, &dyn Fn() -> bool) -> Option<Box<dyn HandRequest>> + Send + Sync>;

/// A request that stands until it is dropped.
pub trait HandRequest {
    /// Says why it still stands.
    fn say(&mut self, words: &str);

    /// Whether somebody said, since this was last asked, that it is done.
    fn is_said_to_be_done(&mut self) -> bool;
}

/// So often it is looked whether somebody said something.
const LOOK: Duration = Duration::from_millis(100);
/// After so long without any sign a loader is looked for all the same: a unit need not be heard to hear.
const QUIET: Duration = Duration::from_secs(5);
/// Why the ROM of every chip says that it was reset, where somebody pressed EN. What resets itself again and again, as a
/// blank chip does, has other reasons.
const PRESSED: &str = "rst:0x1 ";
const WAITS: &str = "waiting for download";
/// What the ROMs call the mode in which they wait, of whatever chip.
const DOWNLOAD: &str = "DOWNLOAD";

/// What may have come of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Sign {
    /// A boot log shows a mode; its line.
    Booted(BootMode, String),
    /// The port went and came back, or somebody says that it is done.
    Maybe,
    /// Nothing for a while.
    None,
}

/// A request for a mode, until its deadline.
pub(super) struct Pressing {
    mode: BootMode,
    within: Duration,
    until: Instant,
    asked: Box<dyn HandRequest>,
    heard: Console,
    /// What was seen last in the place of what was asked for.
    seen: Option<String>,
}

/// Nobody does it at a terminal: it is told, and what the unit shows is waited for.
pub(super) fn told() -> AskHand {
    struct Told;
    impl HandRequest for Told {
        fn say(&mut self, words: &str) {
            tracing::warn!("{words}");
        }

        fn is_said_to_be_done(&mut self) -> bool {
            false
        }
    }
    Arc::new(|request, _| {
        tracing::warn!("{request}");
        Some(Box::new(Told))
    })
}

impl Pressing {
    /// Asks for a mode; the time runs from when it is heard.
    pub(super) fn ask(
        hand: &AskHand,
        mode: BootMode,
        within: Duration,
        line: &Line,
    ) -> Result<Self, ResetError> {
        let asked = hand(request(mode), &|| line.is_cancelled()).ok_or(ResetError::Stopped)?;
        let (until, heard) = (Instant::now() + within, line.beside().clone());
        heard.listen();
        Ok(Self { mode, within, until, asked, heard, seen: None })
    }

    /// Waits for a sign of it.
    ///
    /// # Errors
    /// [`ResetError::NotPressed`] when the time is up.
    pub(super) fn sign(&mut self, line: &Line) -> Result<Sign, ResetError> {
        let quiet = Instant::now() + QUIET;
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            if line.is_cancelled() {
                return Err(ResetError::Stopped);
            }
            if left.is_zero() || self.heard.is_closed() {
                let (mode, within, seen) = (self.mode.name(), self.within, self.seen.clone());
                return Err(ResetError::NotPressed { mode, within, seen });
            }
            self.heard.wait_for_line(left.min(LOOK), tells, || line.is_cancelled());
            if let Some(sign) = self.heard.lines().iter().rev().find_map(|one| sign(&one.line.text))
            {
                return Ok(sign);
            }
            if self.asked.is_said_to_be_done() {
                return Ok(Sign::Maybe);
            }
            if Instant::now() > quiet {
                return Ok(Sign::None);
            }
        }
    }

    /// Asks once more, with what was seen.
    pub(super) fn again(&mut self, seen: &str) {
        self.heard.listen();
        self.asked.say(&format!("{seen}: {}", request(self.mode)));
        self.seen = Some(seen.to_owned());
    }

    /// Listens on.
    pub(super) fn go_on(&self) {
        self.heard.listen();
    }
}

impl Drop for Pressing {
    fn drop(&mut self) {
        self.heard.pause();
    }
}

fn request(mode: BootMode) -> &'static str {
    match mode {
        BootMode::Download => "hold BOOT, press EN (reset), and let go of both, EN first",
        BootMode::Application => "press EN (reset) once, without BOOT",
    }
}

fn tells(text: &str) -> bool {
    sign(text).is_some()
}

fn sign(text: &str) -> Option<Sign> {
    let mode = match () {
        () if Absence::told_by(text) == Some(Absence::Port) => return Some(Sign::Maybe),
        () if text.contains(WAITS) => BootMode::Download,
        () if text.contains(PRESSED) && text.contains(DOWNLOAD) => BootMode::Download,
        () if text.contains(PRESSED) => BootMode::Application,
        () => return None,
    };
    Some(Sign::Booted(mode, text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::esp32(
        "rst:0x1 (POWERON_RESET),boot:0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))",
        Some(BootMode::Download)
    )]
    #[case::c3("rst:0x1 (POWERON),boot:0x5 (DOWNLOAD(USB/UART0/1))", Some(BootMode::Download))]
    #[case::waits("waiting for download", Some(BootMode::Download))]
    #[case::starts("rst:0x1 (POWERON),boot:0xd (SPI_FAST_FLASH_BOOT)", Some(BootMode::Application))]
    #[case::resets_itself("rst:0x10 (RTCWDT_RTC_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)", None)]
    #[case::talks("I (31) boot: ESP-IDF v5.1.2 2nd stage bootloader", None)]
    fn a_boot_log_tells_the_mode(#[case] line: &str, #[case] mode: Option<BootMode>) {
        assert_eq!(sign(line), mode.map(|mode| Sign::Booted(mode, line.to_owned())));
    }
}
