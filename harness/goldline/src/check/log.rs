//! Facts in a unit's serial log, in the words of ESP-IDF.
//!
//! Must not judge: a line is a claim of the unit's. Patterns are ESP-IDF's own log texts.

use std::{net::Ipv4Addr, sync::LazyLock};

use regex::Regex;

use crate::device::ConsoleLine;

/// This many resets without a working application in between are a loop.
const LOOP_RESETS: usize = 3;

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
static LOGGED: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[EWIDV] \(\d+\) [^:]+: "));
static CONFIGURATION: LazyLock<Regex> = LazyLock::new(|| pattern(r"ESP_ERR_NVS_\w+"));
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| pattern(r"sta ip: (\d+\.\d+\.\d+\.\d+)"));
static SIGNAL: LazyLock<Regex> = LazyLock::new(|| pattern(r"\brssi: (-?\d+)"));
static DISCONNECT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)disconnect.*?reason[:= ]+(\d+)"));
static TLS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"mbedtls_ssl_handshake returned|certificate verify failed|esp-tls.*(?:failed|Failed)")
});

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
    /// Whether the application ever started.
    pub application: bool,
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

/// Whether a line is one of ESP-IDF's log, which a firmware prints whatever is typed.
pub fn is_logged(text: &str) -> bool {
    LOGGED.is_match(text)
}

impl LogFacts {
    /// Reads a log.
    pub fn of(lines: &[ConsoleLine]) -> Self {
        let mut facts = Self::default();
        for line in lines {
            facts.take(&line.text);
        }
        facts
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

    fn take(&mut self, text: &str) {
        let keep = || Some(text.trim().to_owned());
        if let Some(reset) = RESET.captures(text) {
            self.resets.push(reset[1].to_owned());
        }
        if PANIC.is_match(text) {
            self.panic = keep();
            self.panics += 1;
        }
        if IMAGE_REFUSED.is_match(text) {
            self.image_refused = keep();
        }
        if APPLICATION.is_match(text) {
            self.application = true;
            (self.configuration, self.complaint) = (None, None);
        }
        if self.complaint.is_none() && COMPLAINT.is_match(text) {
            self.complaint = keep();
        }
        if self.configuration.is_none() && CONFIGURATION.is_match(text) {
            self.configuration = keep();
        }
        if let Some(address) = ADDRESS.captures(text) {
            self.address = address[1].parse().ok();
        }
        if let Some(signal) = SIGNAL.captures(text) {
            self.rssi_dbm = signal[1].parse().ok();
        }
        if let Some(reason) = DISCONNECT.captures(text) {
            self.disconnects.extend(reason[1].parse::<u16>());
        }
        if TLS.is_match(text) {
            self.tls = keep();
        }
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
        LogFacts::of(&log.lines().map(line).collect::<Vec<_>>())
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
        assert!(facts.application && !facts.is_boot_loop());
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
