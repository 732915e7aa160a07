//! One line of a unit's serial log: what it is, before anybody asks what it means.
//!
//! ESP-IDF's forms and Arduino's, with colours and without. Must not judge, and remembers nothing.

use std::{borrow::Cow, sync::LazyLock};

use regex::Regex;

/// A console's prompt may stand before a log line; the WiFi driver leaves no blank behind its tag.
static LOGGED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:\S{0,16}[>$#] ?)?(?:[EWIDV] \([\d:. -]+\) [^\s:][^:]*:|(?:\[ *\d+\])?\[[EWIDV]\]\[[^\]]*\])",
    )
});
static ERROR: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?:\S{0,16}[>$#] ?)?(?:E \([\d:. -]+\) |(?:\[ *\d+\])?\[E\]\[)"));
static BOOT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:ets [A-Z][a-z]{2} +\d|rst:0x|boot:0x|configsip:|SPIWP:|clk_drv:|mode:\w+, clock div|load:0x|ho \d|entry 0x|ESP-ROM:|Build:|Saved PC:|csum err:|invalid header|flash read err|ets_main\.c|secure boot check fail|waiting for download)",
    )
});
static CRASH: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"Guru Meditation|register dump:|panicked at .*:\d+:\d+|abort\(\) was called|Brownout detector|assert failed|stack overflow in task|Stack smashing|CORRUPT HEAP",
    )
});
static DUMP: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:Core +\d+ register dump|(?:PC|PS|A\d+|SAR|EXC\w+|LBEG|LEND|LCOUNT|EPC\d|MEPC|RA|MSTATUS|MTVEC|MCAUSE|MTVAL)\s*: ?0x|Backtrace:|ELF file SHA256|Rebooting\.\.\.|Stack memory:|[0-9a-f]{8}: 0x)",
    )
});
/// Log lines that are the second-stage bootloader's.
static LOADER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^[EWIDV] \([^)]*\) (?:boot|esp_image|flash_|secure_boot|efuse|qio_mode)")
});
static NOT_PRINTED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\x00\x1b]"));

/// What a line is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineKind {
    /// A firmware's or the bootloader's log, which goes on whatever is typed.
    Log,
    /// The ROM's words at a start.
    Boot,
    /// A crash and what is printed of it.
    Panic,
    /// Anything else: a firmware's own words.
    Said,
}

/// What a line is; it may have colours.
pub fn kind_of(text: &str) -> LineKind {
    let text = plain(text);
    match &*text {
        text if is_crash(text) || DUMP.is_match(text) => LineKind::Panic,
        text if LOGGED.is_match(text) => LineKind::Log,
        text if BOOT.is_match(text) => LineKind::Boot,
        _ => LineKind::Said,
    }
}

/// Whether a line is printed whatever is typed: a log line, which may stand behind the console's prompt, a
/// start's, or a crash's.
pub fn is_logged(text: &str) -> bool {
    kind_of(text) != LineKind::Said
}

/// The text without colours and what else no terminal shows.
pub fn plain(text: &str) -> Cow<'_, str> {
    match text.contains(['\x1b', '\r', '\0']) {
        true => NOT_PRINTED.replace_all(text, ""),
        false => Cow::Borrowed(text),
    }
}

/// Whether a plain line says that the unit crashes now.
pub(super) fn is_crash(text: &str) -> bool {
    CRASH.is_match(text)
}

/// Whether a plain line is logged as an error.
pub(super) fn is_error(text: &str) -> bool {
    ERROR.is_match(text)
}

/// Whether a plain line behind the bootloader's first can only be an application's; noise, as of another
/// baud rate, is nobody's.
pub(super) fn is_of_application(text: &str) -> bool {
    match kind_of(text) {
        LineKind::Log => !LOADER.is_match(text),
        LineKind::Said => {
            let letters = text.chars().filter(char::is_ascii_alphanumeric).count();
            letters >= 3 && !text.contains(char::REPLACEMENT_CHARACTER)
        }
        LineKind::Boot | LineKind::Panic => false,
    }
}

pub(super) fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the patterns of the log are tested")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::idf("I (12) vault: up", LineKind::Log)]
    #[case::driver("I (721) wifi:state: init -> auth (b0)", LineKind::Log)]
    #[case::colours("\x1b[0;31mE (12) vault: down\x1b[0m", LineKind::Log)]
    #[case::wall_clock("W (12:34:56.789) vault: late", LineKind::Log)]
    #[case::arduino("[  1234][I][WiFi.cpp:9] begin(): up", LineKind::Log)]
    #[case::arduino_of_old("[E][ssl_client.cpp:37] _handle_error(): down", LineKind::Log)]
    #[case::behind_a_prompt("esp> E (12) vault: down", LineKind::Log)]
    #[case::rom("ets Jul 29 2019 12:21:46", LineKind::Boot)]
    #[case::reset("rst:0xc (SW_CPU_RESET),boot:0x13", LineKind::Boot)]
    #[case::loaded("load:0x3fff0040,len:6072", LineKind::Boot)]
    #[case::refused("invalid header: 0xffffffff", LineKind::Boot)]
    #[case::crash("Guru Meditation Error: Core  0 panic'ed (LoadProhibited).", LineKind::Panic)]
    #[case::registers("PC      : 0x400d5e2b  PS      : 0x00060d30", LineKind::Panic)]
    #[case::backtrace("Backtrace: 0x400d5e28:0x3ffb4f40", LineKind::Panic)]
    #[case::brown_out("E BOD: Brownout detector was triggered", LineKind::Panic)]
    #[case::answer("WiFi credentials saved: SSID='Lab'", LineKind::Said)]
    #[case::refusal("ERROR: too long", LineKind::Said)]
    #[case::words("I (the unit) am: no log", LineKind::Said)]
    #[case::nothing("", LineKind::Said)]
    fn a_line_is_what_it_looks_like(#[case] text: &str, #[case] kind: LineKind) {
        assert_eq!(kind_of(text), kind, "{text:?}");
    }

    #[test]
    fn colours_are_no_text() {
        assert_eq!(plain("\x1b[0;32mI (5) a: b\x1b[0m\r"), "I (5) a: b");
        assert_eq!(plain("a plain line"), "a plain line");
    }

    #[rstest]
    #[case("I (27) boot: ESP-IDF v5.1.2 2nd stage bootloader", false)]
    #[case("E (103) esp_image: Checksum failed. Calculated 0x1 read 0x2", false)]
    #[case("W (300) vault: battery is low", true)]
    #[case("[   312][I][main.cpp:9] setup(): hello", true)]
    #[case("Device ID: A1B2", true)]
    #[case("\u{fffd}\u{fffd}x80~", false)]
    #[case("", false)]
    fn an_application_is_known_by_its_own_lines(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(is_of_application(text), expected, "{text:?}");
    }
}
