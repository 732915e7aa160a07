//! The log that a firmware prints, in ESP-IDF's form and with its clock.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

/// The firmware's end of the serial port.
#[derive(Debug, Clone)]
pub(crate) struct Console {
    started: Instant,
    ahead: Duration,
    output: UnboundedSender<Vec<u8>>,
}

impl Console {
    /// A console whose clock shows `uptime_ms` now.
    pub(crate) fn new(uptime_ms: u32, output: UnboundedSender<Vec<u8>>) -> Self {
        Self { started: Instant::now(), ahead: Duration::from_millis(uptime_ms.into()), output }
    }

    /// Moves the clock on, as if the firmware had been busy for so long.
    pub(super) fn pass(&mut self, milliseconds: u64) {
        self.ahead += Duration::from_millis(milliseconds);
    }

    pub(super) fn info(&self, tag: &str, text: &str) {
        self.line('I', tag, text);
    }

    pub(super) fn warn(&self, tag: &str, text: &str) {
        self.line('W', tag, text);
    }

    pub(super) fn error(&self, tag: &str, text: &str) {
        self.line('E', tag, text);
    }

    /// A line of the WiFi driver, which prints without a space behind its tag.
    pub(super) fn wifi(&self, text: &str) {
        let at = self.milliseconds();
        self.raw(&format!("I ({at}) wifi:{text}\r\n"));
    }

    pub(super) fn raw(&self, text: &str) {
        // A session that is being reset has no serial port any more; its last words are lost.
        let _ = self.output.send(text.as_bytes().to_vec());
    }

    fn line(&self, level: char, tag: &str, text: &str) {
        let at = self.milliseconds();
        self.raw(&format!("{level} ({at}) {tag}: {text}\r\n"));
    }

    fn milliseconds(&self) -> u128 {
        (self.started.elapsed() + self.ahead).as_millis()
    }
}
