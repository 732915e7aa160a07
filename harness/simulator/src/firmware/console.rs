//! The log that a firmware prints, in ESP-IDF's form or Arduino's, and with its clock.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use super::description::{Log, LogStyle};

/// The firmware's end of the serial port.
#[derive(Debug, Clone)]
pub(crate) struct Console {
    started: Instant,
    ahead: Duration,
    log: Log,
    output: UnboundedSender<Vec<u8>>,
}

impl Console {
    /// A console whose clock shows `uptime_ms` now.
    pub(crate) fn new(uptime_ms: u32, output: UnboundedSender<Vec<u8>>) -> Self {
        let ahead = Duration::from_millis(uptime_ms.into());
        Self { started: Instant::now(), ahead, log: Log::default(), output }
    }

    /// The same console, with the log that a firmware prints.
    pub(super) fn with_log(self, log: Log) -> Self {
        Self { log, ..self }
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

    /// A line of ESP-IDF's own start, which Arduino's leaves out.
    pub(super) fn start(&self, tag: &str, text: &str) {
        if self.log.style == LogStyle::Idf {
            self.info(tag, text);
        }
    }

    /// A line of the WiFi driver, which prints without a space behind its tag. Arduino's is silent.
    pub(super) fn wifi(&self, text: &str) {
        if self.log.style == LogStyle::Idf {
            let at = self.milliseconds();
            self.print('I', &format!("I ({at}) wifi:{text}"));
        }
    }

    /// The signal of the network that was joined.
    pub(super) fn signal(&self, rssi_dbm: i8) {
        match self.log.style {
            _ if !self.log.rssi => {}
            LogStyle::Idf => {
                self.wifi(&format!("security: WPA2-PSK, phy: bgn, rssi: {rssi_dbm}"));
            }
            LogStyle::Arduino => self.raw(&format!("RSSI: {rssi_dbm} dBm\r\n")),
        }
    }

    /// The address that the network gave.
    pub(super) fn address(&self, tag: &str, address: [impl std::fmt::Display; 3]) {
        let [ip, mask, gateway] = address;
        match self.log.style {
            _ if !self.log.address => {}
            LogStyle::Idf => {
                let text = format!("sta ip: {ip}, mask: {mask}, gw: {gateway}");
                self.info("esp_netif_handlers", &text);
                self.info(tag, &format!("Got IP: {ip}"));
            }
            LogStyle::Arduino => {
                self.info("STA", &format!("STA IP: {ip}, MASK: {mask}, GW: {gateway}"));
            }
        }
    }

    /// The link was refused or lost.
    pub(super) fn disconnected(&self, tag: &str, reason: u16, name: &str) {
        match self.log.style {
            LogStyle::Idf => {
                self.warn(tag, &format!("Disconnected, reason: {reason} ({name})"));
            }
            LogStyle::Arduino => {
                self.warn("WiFiGeneric", &format!("Reason: {reason} - {name}"));
            }
        }
    }

    pub(super) fn raw(&self, text: &str) {
        // A session that is being reset has no serial port any more; its last words are lost.
        let _ = self.output.send(text.as_bytes().to_vec());
    }

    fn line(&self, level: char, tag: &str, text: &str) {
        let at = self.milliseconds();
        let line = match self.log.style {
            LogStyle::Idf => format!("{level} ({at}) {tag}: {text}"),
            LogStyle::Arduino => format!("[{at:6}][{level}][{tag}.cpp:42] log(): {text}"),
        };
        self.print(level, &line);
    }

    fn print(&self, level: char, line: &str) {
        let colour = match level {
            'E' => 31,
            'W' => 33,
            _ => 32,
        };
        match self.log.colours {
            true => self.raw(&format!("\x1b[0;{colour}m{line}\x1b[0m\r\n")),
            false => self.raw(&format!("{line}\r\n")),
        }
    }

    fn milliseconds(&self) -> u128 {
        (self.started.elapsed() + self.ahead).as_millis()
    }
}
