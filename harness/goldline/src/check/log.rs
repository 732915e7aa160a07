//! Facts in a unit's serial log, in the words of ESP-IDF and of Arduino.
//!
//! Must not judge: a line is a claim of the unit's. Patterns are the frameworks' own log texts. Of several
//! lines about one thing, the one that tells most is kept, and the first of those.

use std::{net::Ipv4Addr, sync::LazyLock};

use regex::{Regex, RegexSet};

use super::{
    crash::{self, Crash},
    line::{LineKind, is_crash, is_error, is_of_application, kind_of, pattern, plain},
    restarts::{Reason, Restarts},
};
use crate::device::{Absence, ConsoleLine};

/// More reasons than anyone reads; a unit that resets for hours must not eat the station's memory.
const REASONS_KEPT: usize = 1000;
/// A median needs no more of what a unit may print for hours.
const SIGNALS_KEPT: usize = 64;
/// A log may name many addresses; a unit has one.
const ADDRESSES_KEPT: usize = 16;

static RESET: LazyLock<Regex> = LazyLock::new(|| pattern(r"^rst:0x([0-9a-f]+) \(([A-Z0-9_]+)\)"));
/// Of the ROM at each start: one of them may be lost on the wire.
static LOAD: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:load:0x|entry 0x)[0-9a-f]+"));
static GREETING: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?:ets [A-Z]|ESP-ROM:|configsip:|SPIWP:|clk_drv:|mode:)"));
/// Reasons of resets that are no software's.
static NOT_SOFTWARE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"WDT|POWER|BROWN|SLEEP|EXT|USB|JTAG|SDIO|GLITCH|EFUSE"));
static PANIC: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"Guru Meditation|register dump:|panicked at .*:\d+:\d+|abort\(\) was called|Brownout detector|assert failed|stack overflow in task|Stack smashing|CORRUPT HEAP|Task watchdog got triggered",
    )
});
static IMAGE_REFUSED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^invalid header|^csum err|Checksum failed|Image hash failed|invalid magic|mismatch chip ID|flash read err|secure boot check fail|Failed to verify partition table|load partition table error|is not bootable|No bootable app",
    )
});
/// Of these, the refusals that no further start will change.
static REFUSED_FOR_GOOD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^csum err|secure boot check fail|load partition table error|No bootable app")
});
/// And those that say what is wrong with the image, and those that say where.
static IMAGE_WRONG: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"Checksum failed|Image hash failed|invalid magic|mismatch chip ID"));
static IMAGE_UNUSED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"is not bootable|No bootable app|load partition table error"));
static APPLICATION: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"Calling app_main\(\)|cpu_start: "));
static COMPLAINT: LazyLock<Regex> = LazyLock::new(|| pattern(r"E \([^)]*\) |\[E\]\["));
static CONFIGURATION: LazyLock<Regex> = LazyLock::new(|| pattern(r"ESP_ERR_NVS_\w+"));
static GAVE_UP: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)not provisioned|provisioning failed|no (?:configuration|credentials) (?:found|stored)|cannot (?:start|continue)|giving up|\bhalt(?:ed|ing)\b",
    )
});
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\bsta ip: ?(\d+\.\d+\.\d+\.\d+)"));
/// Other words for an address, which may be another one's: a gateway's, or the unit's own network's.
static MENTIONED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)(?:got ip|\bip address|ipv4 address|\bip)\s*[:=] ?(\d+\.\d+\.\d+\.\d+)")
});
static SIGNAL: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\brssi\)?\s*[:=]\s*(-?\d+)"));
static DISCONNECT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i:disconnect.*?reason[:= ]+)(\d+)|\bReason: (\d+) - [A-Z]"));
static SESSION: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\bMQTT_EVENT_CONNECTED\b|\bmqtt (?:client )?connected\b"));
static TLS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"mbedtls_ssl_handshake returned|(?i)certificate verif\w+ failed|esp-tls.*failed|verification info:|failed to verify peer",
    )
});

/// Everything that a fact is made of; most lines of a log are not.
static TELLING: LazyLock<RegexSet> = LazyLock::new(|| {
    let patterns = [
        &*RESET,
        &*LOAD,
        &*GREETING,
        &*PANIC,
        &*IMAGE_REFUSED,
        &*APPLICATION,
        &*COMPLAINT,
        &*CONFIGURATION,
        &*GAVE_UP,
        &*ADDRESS,
        &*MENTIONED,
        &*SIGNAL,
        &*DISCONNECT,
        &*SESSION,
        &*TLS,
        &*crash::TELLING,
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
    /// The line that tells most of its crashes: the first of those.
    pub panic: Option<String>,
    /// The first of its crashes, and where it was.
    pub crash: Option<Crash>,
    /// The boot loader's refusal of an image, in the line that tells most of it.
    pub image_refused: Option<String>,
    /// How many lines say that the application starts; a start has several.
    pub application_lines: usize,
    /// The first line that the application logs as an error: later ones follow from it.
    pub complaint: Option<String>,
    /// The first NVS error that the application prints. This, the complaint and the next are the present
    /// start's.
    pub configuration: Option<String>,
    /// The first line that says that the application will go no further.
    pub gave_up: Option<String>,
    /// The address that the unit says it has as a station.
    pub address: Option<Ipv4Addr>,
    /// Addresses that it names in other words; they need not be its own.
    pub mentioned: Vec<Ipv4Addr>,
    /// The signal that the unit's radio measured, in dBm: each time that it said so, up to a bound.
    pub signals_dbm: Vec<i8>,
    /// Reasons of all disconnections, in order.
    pub disconnects: Vec<u16>,
    /// How often it says that it is connected to its broker.
    pub sessions: usize,
    /// The TLS failure, in the line that tells most of it.
    pub tls: Option<String>,
    /// How many lines tell of TLS failures.
    pub tls_lines: usize,
    restarts: Restarts,
    refused_for_good: bool,
    /// Whether the port was away meanwhile, or the connection to it lost.
    has_missed: bool,
    /// The next line may have lost its beginning.
    is_cut: bool,
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

    /// Whether the bench was not listening when the unit started, and heard nothing of an application since: what
    /// it may have said first is no evidence that it did not.
    pub fn is_unheard(&self) -> bool {
        self.has_missed && !self.has_application()
    }

    /// Whether it may have said what the bench did not hear.
    pub fn has_missed(&self) -> bool {
        self.has_missed
    }

    /// Whether the boot loader said that there is nothing to run, and no application came after all.
    pub fn has_nothing_to_run(&self) -> bool {
        self.refused_for_good
    }

    /// How often the unit reset or crashed by itself; the bench's own reset and those that it asked for do
    /// not count. A crash counts even where the line of a reset was lost.
    pub fn unexpected_resets(&self) -> usize {
        self.restarts.by_itself()
    }

    /// How often the unit crashed, hung or lost its supply: what no firmware does on purpose.
    pub fn crashes(&self) -> usize {
        self.restarts.crashes()
    }

    /// Whether the unit has reset, or its application has started, since it said less.
    pub fn has_restarted_since(&self, before: &Self) -> bool {
        self.application_lines > before.application_lines || self.resets.len() > before.resets.len()
    }

    /// The unit was told to restart, once.
    pub fn ask_for_restart(&mut self) {
        self.restarts.ask();
    }

    /// The unit will reset once more, for whatever reason.
    pub fn excuse_reset(&mut self) {
        self.restarts.excuse();
    }

    /// Whether the unit says anywhere that this is its address.
    pub fn names(&self, address: Ipv4Addr) -> bool {
        self.address == Some(address) || self.mentioned.contains(&address)
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
            &mut self.gave_up,
            &mut self.tls,
        ];
        let cause = self.crash.as_mut().and_then(|crash| crash.cause.as_mut());
        for line in quoted.into_iter().flatten().chain(cause) {
            *line = show(line);
        }
        self
    }

    /// Reads one more line; whether it tells anything new.
    pub fn take(&mut self, text: &str) -> bool {
        let text = &*plain(text);
        if let Some(absence) = Absence::told_by(text) {
            self.miss(absence);
            return true;
        }
        // The end of a line of the ROM's looks like a firmware's own words.
        let is_cut = std::mem::take(&mut self.is_cut) && kind_of(text) == LineKind::Said;
        let first = self.restarts.awaits_application() && is_of_application(text) && !is_cut;
        if first {
            self.start_application();
        }
        TELLING.is_match(text) && self.note(text) || first
    }

    /// What was said meanwhile was not heard, a reset where the port itself was away.
    fn miss(&mut self, absence: Absence) {
        self.has_missed = true;
        match absence {
            Absence::Port => self.restarts.miss_reset(),
            Absence::Connection => {
                self.is_cut = true;
                self.restarts.miss_words();
            }
        }
    }

    fn note(&mut self, text: &str) -> bool {
        let mut told = self.count_starts(text);
        if PANIC.is_match(text) {
            told |= keep(&mut self.panic, text, |line| u8::from(is_crash(line)));
        }
        if self.crash.is_some() || is_crash(text) {
            told |= self.crash.get_or_insert_default().take(text);
        }
        if IMAGE_REFUSED.is_match(text) {
            self.refused_for_good |= REFUSED_FOR_GOOD.is_match(text);
            told |= keep(&mut self.image_refused, text, rank_of_refusal);
        }
        let first = |_: &str| 0;
        if is_error(text) {
            told |= keep(&mut self.complaint, text, first);
        }
        if CONFIGURATION.is_match(text) {
            told |= keep(&mut self.configuration, text, first);
        }
        if GAVE_UP.is_match(text) {
            told |= keep(&mut self.gave_up, text, first);
        }
        if TLS.is_match(text) {
            self.tls_lines += 1;
            told |= keep(&mut self.tls, text, rank_of_tls);
        }
        self.count(text) || told
    }

    /// How often the unit starts, and how far it comes; whether the line is about that.
    fn count_starts(&mut self, text: &str) -> bool {
        if is_crash(text) {
            self.restarts.crash();
        }
        if GREETING.is_match(text) {
            self.restarts.greet();
        }
        if LOAD.is_match(text) {
            self.restarts.load();
        }
        let reset = RESET.captures(text);
        if let Some(reset) = &reset {
            self.crash.iter_mut().for_each(Crash::end);
            self.restarts.reset(reason_of(&reset[1], &reset[2]));
            if self.resets.len() < REASONS_KEPT {
                self.resets.push(reset[2].to_owned());
            }
        }
        let starts = APPLICATION.is_match(text);
        if starts {
            self.start_application();
        }
        starts || reset.is_some()
    }

    fn start_application(&mut self) {
        self.restarts.application();
        self.application_lines += 1;
        self.refused_for_good = false;
        (self.configuration, self.complaint, self.gave_up) = (None, None, None);
    }

    /// What is read as a number; whether there was anything new.
    fn count(&mut self, text: &str) -> bool {
        let mut told = false;
        if let Some(address) = ADDRESS.captures(text) {
            let before = self.address;
            self.address = address[1].parse().ok();
            told |= self.address != before;
            if before.is_none() {
                // Those before the last one may be other networks', of a search.
                let others = self.signals_dbm.len().saturating_sub(1);
                self.signals_dbm.drain(..others);
            }
        }
        if let Some(address) = MENTIONED.captures(text).and_then(|found| found[1].parse().ok())
            && !self.mentioned.contains(&address)
            && self.mentioned.len() < ADDRESSES_KEPT
        {
            self.mentioned.push(address);
            told = true;
        }
        let has_room = self.signals_dbm.len() < SIGNALS_KEPT;
        if let Some(signal) = SIGNAL.captures(text).filter(|_| has_room)
            && let Ok(signal) = signal[1].parse()
        {
            self.signals_dbm.push(signal);
            told = true;
        }
        if SESSION.is_match(text) {
            self.sessions += 1;
            told |= self.sessions <= REASONS_KEPT;
        }
        let room = self.disconnects.len() < REASONS_KEPT;
        if let Some(found) = DISCONNECT.captures(text).filter(|_| room) {
            let reason = found.get(1).or(found.get(2)).map(|reason| reason.as_str().parse::<u16>());
            self.disconnects.extend(reason.into_iter().flatten());
            told = true;
        }
        told
    }
}

/// A reset's number and name say the same: one wrong bit in either is not believed.
fn reason_of(number: &str, name: &str) -> Reason {
    if name.contains("SW_") || matches!(number, "3" | "c") && !NOT_SOFTWARE.is_match(name) {
        Reason::Software
    } else if number == "1" && name.contains("POWERON") {
        Reason::PowerOn
    } else {
        Reason::Other
    }
}

/// Keeps a line where it tells more than the one that is kept; whether it does.
fn keep(place: &mut Option<String>, text: &str, rank: fn(&str) -> u8) -> bool {
    let line = text.trim();
    if place.as_deref().is_some_and(|kept| rank(kept) >= rank(line)) {
        return false;
    }
    *place = Some(line.to_owned());
    true
}

/// What is wrong with an image tells more than that it is refused, and that more than that none is left.
fn rank_of_refusal(line: &str) -> u8 {
    match line {
        line if IMAGE_WRONG.is_match(line) => 2,
        line if IMAGE_UNUSED.is_match(line) => 0,
        _ => 1,
    }
}

/// Why a certificate is refused tells more than that it is, and that more than a number.
fn rank_of_tls(line: &str) -> u8 {
    match line {
        line if line.contains("verification info:") => 3,
        line if line.contains("erif") => 2,
        line if line.contains("handshake returned") => 1,
        _ => 0,
    }
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
        assert_eq!(facts.signals_dbm, [-45]);
        assert_eq!(facts.panic, None);
    }

    /// A restart that was asked for, with one bit wrong anywhere in what the ROM says of it.
    #[test]
    fn no_bit_of_a_restart_makes_it_a_crash_or_hides_the_application() {
        let rom = |reset: &str| {
            format!(
                "ets Jul 29 2019 12:21:46\n\n{reset},boot:0x13 (SPI_FAST_FLASH_BOOT)\n\
                 configsip: 0, SPIWP:0xee\nmode:DIO, clock div:2\nload:0x3fff0030,len:1184\n\
                 load:0x40078000,len:13232\nload:0x40080400,len:3028\nentry 0x400805e4\n"
            )
        };
        let first =
            format!("{}[   312][I][main.cpp:9] setup(): up\n", rom("rst:0x1 (POWERON_RESET)"));
        let second = rom("rst:0xc (SW_CPU_RESET)");
        for (at, bit) in (0..second.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut bytes = second.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let restarted = String::from_utf8_lossy(&bytes).into_owned();
            let line = |text: &str| ConsoleLine { at_ms: 0, text: text.to_owned() };
            let mut facts = UnitLog::of(first.lines().map(line).collect()).facts;
            assert_eq!(facts.application_lines, 1);
            facts.ask_for_restart();
            let app = "[   312][I][main.cpp:9] setup(): up";
            restarted.split('\n').chain([app]).for_each(|line| {
                facts.take(line);
            });
            let counted = (facts.unexpected_resets(), facts.crashes(), facts.application_lines);
            assert_eq!(counted, (0, 0, 2), "{at}.{bit}: {restarted:?}");
        }
    }

    const AWAY: &str = "[the port was away for 300 ms: what was printed meanwhile was not heard]";
    const LOST: &str =
        "[the connection to the port was lost for 90 ms: what was printed meanwhile was not heard]";
    const ROM: &str =
        "ets Jul 29 2019 12:21:46\nrst:0x1 (POWERON_RESET),boot:0x13\nload:0x3fff0030,len:1184\n";

    /// The bench's own line was an application's first, and a lost connection was no reason to have heard nothing.
    #[test]
    fn a_lost_connection_is_nobodys_word() {
        for log in
            [LOST.to_owned(), format!("{ROM}{LOST}"), format!("{ROM}{LOST}\n80078000,len:13232")]
        {
            let facts = facts(&log);
            assert!(!facts.has_application() && facts.is_unheard(), "{log}");
            assert_eq!(facts.unexpected_resets(), 0, "{log}");
        }
        for app in ["I (9) app: up", "\u{fffd}dy\nready"] {
            let facts = facts(&format!("{LOST}\n{app}"));
            assert!(facts.has_application() && !facts.is_unheard(), "{app}");
        }
        let running = facts(&format!("{ROM}I (9) app: up\n{LOST}\nI (900) app: on"));
        assert_eq!((running.application_lines, running.unexpected_resets()), (1, 0));
    }

    /// A bridge that goes and comes back under a running application does not reset its chip.
    #[test]
    fn a_port_that_was_away_is_not_held_against_the_unit() {
        let app = "I (9) app: up";
        for log in [
            format!("{ROM}{app}\n{AWAY}\nI (900) app: on"),
            format!("{ROM}{app}\n{AWAY}\n{ROM}{app}"),
            format!("{AWAY}\n{ROM}{app}"),
            format!("{AWAY}\n{app}"),
        ] {
            let facts = facts(&log);
            assert_eq!((facts.unexpected_resets(), facts.crashes()), (0, 0), "{log}");
            assert!(facts.has_application() && !facts.is_unheard(), "{log}");
        }
        let hung = "rst:0x8 (TG1WDT_SYS_RESET),boot:0x13";
        let twice = facts(&format!("{AWAY}\n{ROM}{app}\n{hung}"));
        assert_eq!((twice.unexpected_resets(), twice.crashes()), (1, 1), "one reset is excused");
        let crashed = facts(&format!("{ROM}{app}\nGuru Meditation Error\n{AWAY}\n{ROM}{app}"));
        assert_eq!((crashed.unexpected_resets(), crashed.crashes()), (1, 1), "it said so itself");
    }

    #[test]
    fn a_loop_is_told_from_a_single_crash() {
        let crash = "Guru Meditation Error: Core  0 panic'ed (LoadProhibited).\nrst:0xc (SW_CPU_RESET),boot:0x13\n";
        assert!(!facts(crash).is_boot_loop());
        assert!(facts(&crash.repeat(5)).is_boot_loop());
    }

    /// MicroPython has its own words in the place of ESP-IDF's first line; its reset is a software's.
    #[test]
    fn a_crash_in_other_words_is_told_by_its_registers() {
        let crash = "A fatal error occurred. The crash dump printed below may be used to help\n\
            Core  0 register dump:\n\
            MEPC    : 0x4213677e  RA      : 0x4213677a  SP      : 0x3fcbd5a0\n\
            rst:0xc (RTC_SW_CPU_RST),boot:0x8 (SPI_FAST_FLASH_BOOT)\n";
        let facts = facts(crash);
        assert_eq!((facts.crashes(), facts.panic.as_deref()), (1, Some("Core  0 register dump:")));
        assert_eq!(facts.crash.map(|crash| crash.frames), Some(vec![0x4213_677E, 0x4213_6779]));
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
