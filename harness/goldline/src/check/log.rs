//! Facts in a unit's serial log, in the words of ESP-IDF.
//!
//! Must not judge: a line is a claim of the unit's. Patterns are ESP-IDF's own log texts.

use std::{net::Ipv4Addr, sync::LazyLock};

use regex::{Regex, RegexSet};

use crate::device::ConsoleLine;

/// This many resets without a working application in between are a loop.
const LOOP_RESETS: usize = 3;
/// More reasons than anyone reads; a unit that resets for hours must not eat the station's memory.
const REASONS_KEPT: usize = 1000;

static RESET: LazyLock<Regex> = LazyLock::new(|| pattern(r"^rst:0x[0-9a-f]+ \(([A-Z0-9_]+)\)"));
static PANIC: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"Guru Meditation|abort\(\) was called|Brownout detector|assert failed")
});
static IMAGE_REFUSED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^invalid header|Checksum failed|Image hash failed|image at 0x[0-9a-f]+ has invalid magic|No bootable app|mismatch chip ID|flash read err|invalid magic byte",
    )
});
static APPLICATION: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"Calling app_main\(\)|cpu_start: "));
static COMPLAINT: LazyLock<Regex> = LazyLock::new(|| pattern(r"^E \(\d+\) "));
static LOGGED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?:\S{0,16}[>$#] ?)?[EWIDV] \(\d+\) [^:]+: "));
static CONFIGURATION: LazyLock<Regex> = LazyLock::new(|| pattern(r"ESP_ERR_NVS_\w+"));
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| pattern(r"sta ip: (\d+\.\d+\.\d+\.\d+)"));
static SIGNAL: LazyLock<Regex> = LazyLock::new(|| pattern(r"\brssi: (-?\d+)"));
static DISCONNECT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)disconnect.*?reason[:= ]+(\d+)"));
static TLS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"mbedtls_ssl_handshake returned|certificate verify failed|esp-tls.*(?:failed|Failed)")
});

/// Everything that a fact is made of; most lines of a log are not.
static TELLING: LazyLock<RegexSet> = LazyLock::new(|| {
    let patterns = [
        &*RESET,
        &*PANIC,
        &*IMAGE_REFUSED,
        &*APPLICATION,
        &*COMPLAINT,
        &*CONFIGURATION,
        &*ADDRESS,
        &*SIGNAL,
        &*DISCONNECT,
        &*TLS,
    ];
    RegexSet::new(patterns.map(Regex::as_str)).expect("each of them is a pattern")
});

/// The serial log of the trial, read once: its lines as they may be shown, and what they claim.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UnitLog {
    lines: Vec<ConsoleLine>,
    facts: LogFacts,
}

/// What a serial log claims.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LogFacts {
    /// Reasons of all resets since the bench's own, that one included.
    pub resets: Vec<String>,
    /// The last panic, abort or brown-out.
    pub panic: Option<String>,
    /// How many of them there were.
    pub panics: usize,
    /// The boot loader's refusal of an image.
    pub image_refused: Option<String>,
    /// How many lines say that the application starts; a start has several.
    pub application_lines: usize,
    /// The first line that the application logs as an error: later ones follow from it.
    pub complaint: Option<String>,
    /// The first NVS error that the application prints. This and the complaint are the present start's.
    pub configuration: Option<String>,
    /// The address that the unit says it has.
    pub address: Option<Ipv4Addr>,
    /// The signal that the unit's radio measured, in dBm.
    pub rssi_dbm: Option<i8>,
    /// Reasons of all disconnections, in order.
    pub disconnects: Vec<u16>,
    /// The last TLS failure.
    pub tls: Option<String>,
}

/// Whether a line is one of ESP-IDF's log, which a firmware prints whatever is typed; it may stand behind the
/// console's prompt.
pub fn is_logged(text: &str) -> bool {
    LOGGED.is_match(text)
}

impl UnitLog {
    /// Reads a log that is there as a whole.
    pub fn of(lines: Vec<ConsoleLine>) -> Self {
        let mut facts = LogFacts::default();
        for line in &lines {
            facts.take(&line.text);
        }
        Self { lines, facts }
    }

    /// A log that was read as it arrived; of its lines, not all need to be kept.
    pub fn heard(lines: Vec<ConsoleLine>, facts: LogFacts) -> Self {
        Self { lines, facts }
    }

    /// As they may be shown.
    pub fn lines(&self) -> &[ConsoleLine] {
        &self.lines
    }

    /// What they claim.
    pub fn facts(&self) -> &LogFacts {
        &self.facts
    }
}

impl LogFacts {
    /// Makes the patterns, which takes longer than any line: before the first one is waited for.
    pub fn prepare() {
        LazyLock::force(&TELLING);
    }

    /// Whether the application ever started.
    pub fn has_application(&self) -> bool {
        self.application_lines > 0
    }

    /// Whether the unit resets again and again.
    pub fn is_boot_loop(&self) -> bool {
        self.resets.len() > LOOP_RESETS
    }

    /// How often the unit reset or crashed by itself; the bench's own reset does not count. A crash
    /// counts even where the line of a reset was lost.
    pub fn unexpected_resets(&self) -> usize {
        self.resets.len().saturating_sub(1).max(self.panics)
    }

    /// The end of a sentence about a unit that does not do what it should: what it complains of.
    pub fn complains(&self) -> String {
        let complaint = self.configuration.as_ref().or(self.complaint.as_ref());
        complaint.map_or_else(String::new, |line| format!("; its log says \"{line}\""))
    }

    /// The same claims, with each quoted line as it may be shown.
    #[must_use]
    pub fn shown(mut self, show: impl Fn(&str) -> String) -> Self {
        let quoted = [
            &mut self.panic,
            &mut self.image_refused,
            &mut self.complaint,
            &mut self.configuration,
            &mut self.tls,
        ];
        for line in quoted.into_iter().flatten() {
            *line = show(line);
        }
        self
    }

    /// Reads one more line; whether it tells anything new.
    pub fn take(&mut self, text: &str) -> bool {
        TELLING.is_match(text) && self.note(text)
    }

    fn note(&mut self, text: &str) -> bool {
        let mut told = false;
        let mut keep = |place: &mut Option<String>| {
            let line = text.trim();
            if place.as_deref() != Some(line) {
                *place = Some(line.to_owned());
                told = true;
            }
        };
        if PANIC.is_match(text) {
            self.panics += 1;
            keep(&mut self.panic);
        }
        if IMAGE_REFUSED.is_match(text) {
            keep(&mut self.image_refused);
        }
        if APPLICATION.is_match(text) {
            (self.configuration, self.complaint) = (None, None);
        }
        if self.complaint.is_none() && COMPLAINT.is_match(text) {
            keep(&mut self.complaint);
        }
        if self.configuration.is_none() && CONFIGURATION.is_match(text) {
            keep(&mut self.configuration);
        }
        if TLS.is_match(text) {
            keep(&mut self.tls);
        }
        self.count(text) || told
    }

    /// What is counted or read as a number; whether there was any of it.
    fn count(&mut self, text: &str) -> bool {
        let mut told = false;
        if let Some(reset) = RESET.captures(text).filter(|_| self.resets.len() < REASONS_KEPT) {
            self.resets.push(reset[1].to_owned());
            told = true;
        }
        if APPLICATION.is_match(text) {
            self.application_lines += 1;
            told = true;
        }
        if let Some(address) = ADDRESS.captures(text) {
            let before = self.address;
            self.address = address[1].parse().ok();
            told |= self.address != before;
        }
        if let Some(signal) = SIGNAL.captures(text) {
            let before = self.rssi_dbm;
            self.rssi_dbm = signal[1].parse().ok();
            told |= self.rssi_dbm != before;
        }
        let room = self.disconnects.len() < REASONS_KEPT;
        if let Some(reason) = DISCONNECT.captures(text).filter(|_| room) {
            self.disconnects.extend(reason[1].parse::<u16>());
            told = true;
        }
        told
    }
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the patterns of this file are tested")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(log: &str) -> LogFacts {
        let line = |text: &str| ConsoleLine { at_ms: 0, text: text.to_owned() };
        UnitLog::of(log.lines().map(line).collect()).facts
    }

    #[test]
    fn a_good_boot_has_one_reset_and_an_address() {
        let facts = facts(
            "ets Jul 29 2019 12:21:46\n\nrst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\n\
             I (312) main_task: Calling app_main()\n\
             I (768) wifi:security: WPA2-PSK, phy: bgn, rssi: -45\n\
             I (900) esp_netif_handlers: sta ip: 127.0.0.9, mask: 255.0.0.0, gw: 127.0.0.1",
        );
        assert_eq!(facts.resets, ["POWERON_RESET"]);
        assert!(facts.has_application() && !facts.is_boot_loop());
        assert_eq!(facts.address, Some(Ipv4Addr::new(127, 0, 0, 9)));
        assert_eq!(facts.rssi_dbm, Some(-45));
        assert_eq!(facts.panic, None);
    }

    #[test]
    fn a_loop_is_told_from_a_single_crash() {
        let crash = "Guru Meditation Error: Core  0 panic'ed (LoadProhibited).\nrst:0xc (SW_CPU_RESET),boot:0x13\n";
        assert!(!facts(crash).is_boot_loop());
        assert!(facts(&crash.repeat(5)).is_boot_loop());
    }

    #[test]
    fn a_blank_chip_is_seen() {
        let facts = facts("rst:0x10 (RTCWDT_RTC_RESET),boot:0x13\ninvalid header: 0xffffffff");
        assert_eq!(facts.image_refused.as_deref(), Some("invalid header: 0xffffffff"));
    }

    /// A blank unit misses everything, and that is no fault of the one that it becomes.
    #[test]
    fn what_an_earlier_start_missed_is_past() {
        let before = "rst:0x1 (POWERON_RESET)\nW (400) vault: ssid: ESP_ERR_NVS_NOT_FOUND\nE (401) vault: not provisioned\n";
        assert!(facts(before).complains().contains("NOT_FOUND"));
        let after = facts(&format!(
            "{before}rst:0xc (SW_CPU_RESET),boot:0x13\nI (312) main_task: Calling app_main()"
        ));
        assert_eq!((after.configuration, after.complaint), (None, None));
    }

    #[test]
    fn a_missing_key_and_a_refused_password_are_seen() {
        let facts = facts(
            "E (400) vault: Failed to load wifi_ssid from NVS: ESP_ERR_NVS_NOT_FOUND\n\
             W (700) vault_wifi: disconnected, reason: 15\nW (900) vault_wifi: disconnected, reason: 201",
        );
        assert!(facts.complains().contains("Failed to load wifi_ssid"));
        assert!(facts.configuration.expect("seen").contains("wifi_ssid"));
        assert_eq!(facts.disconnects, [15, 201]);
    }
}
