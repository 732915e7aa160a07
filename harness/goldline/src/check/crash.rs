//! What a unit prints of its crash: why, and the addresses of its backtrace.
//!
//! In the words of ESP-IDF for Xtensa and RISC-V, and of Rust's esp-backtrace. Must not know what lies at an
//! address, nor judge.

use std::sync::LazyLock;

use regex::Regex;

use super::line::pattern;

/// More calls than anybody follows; noise must not eat the station's memory.
const MOST_FRAMES: usize = 64;

/// Everything that this file reads.
pub(super) static TELLING: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"panic'ed \(|abort\(\) was called|assert failed: |stack overflow in task|panicked at .*:\d+:\d+|^\s*Backtrace:|^\s*MEPC\s*:|^ELF file SHA256:|^\s*0x[0-9a-f]{8}\b|(?i:core dump has been saved to flash)",
    )
});
static CAUSE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"panic'ed \(([^)]*)\)|(abort\(\)) was called|(assert failed: .*)|(stack overflow in task \S+)|(panicked at .*:\d+:\d+)",
    )
});
static BACKTRACE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s*Backtrace:(.*)"));
/// The stack pointer behind a colon is none.
static FRAME: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:^|\s)0x([0-9a-f]{8})(?::0x[0-9a-f]{8})?"));
static REGISTERS: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\s*MEPC\s*: ?0x([0-9a-f]{8})\s+RA\s*: ?0x([0-9a-f]{8})"));
static ELF: LazyLock<Regex> = LazyLock::new(|| pattern(r"^ELF file SHA256: *([0-9a-f]+)"));
static CORE_DUMP: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)core dump has been saved to flash"));

/// One crash, as far as it was printed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Crash {
    /// Such as `LoadProhibited`.
    pub cause: Option<String>,
    /// Where the processor was, and from where it was called, innermost first.
    pub frames: Vec<u32>,
    /// Whether the unit said that its stack was damaged behind the last of them.
    pub is_cut_off: bool,
    /// How the SHA-256 of the ELF begins that the running image was made of, as lowercase hex.
    pub elf_digest: Option<String>,
    /// Whether it wrote a core dump into its flash.
    pub dumped: bool,
    reads: Reads,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Reads {
    #[default]
    Everything,
    /// Frames follow, one a line.
    Frames,
    /// The unit reset: what comes is another crash's.
    Nothing,
}

impl Crash {
    /// The unit reset.
    pub(super) fn end(&mut self) {
        self.reads = Reads::Nothing;
    }

    /// Reads one more line; whether it tells anything new.
    pub(super) fn take(&mut self, text: &str) -> bool {
        if self.reads == Reads::Nothing {
            return false;
        }
        let before = (self.frames.len(), self.cause.is_some(), self.elf_digest.is_some());
        if self.cause.is_none() {
            let found = CAUSE.captures(text);
            let cause = found.and_then(|found| found.iter().skip(1).flatten().next());
            self.cause = cause.map(|cause| cause.as_str().trim().to_owned());
        }
        self.take_frames(text);
        if let Some(found) = ELF.captures(text).filter(|found| found[1].bytes().any(|c| c != b'0'))
        {
            self.elf_digest.get_or_insert_with(|| found[1].to_owned());
        }
        self.dumped |= CORE_DUMP.is_match(text);
        before != (self.frames.len(), self.cause.is_some(), self.elf_digest.is_some())
    }

    fn take_frames(&mut self, text: &str) {
        if let Some(found) = BACKTRACE.captures(text) {
            // It tells more than registers do.
            self.frames.clear();
            self.keep_frames(&found[1]);
            self.is_cut_off = found[1].contains("CORRUPTED");
            self.reads = if self.frames.is_empty() { Reads::Frames } else { Reads::Everything };
        } else if self.reads == Reads::Frames {
            match FRAME.is_match(text) {
                true => self.keep_frames(text.split(" - ").next().unwrap_or_default()),
                false if text.trim().is_empty() => {}
                false => self.reads = Reads::Everything,
            }
        } else if let Some(found) = REGISTERS.captures(text).filter(|_| self.frames.is_empty()) {
            let read = |digits: &str| u32::from_str_radix(digits, 16).ok();
            self.frames.extend(read(&found[1]));
            // It returns behind the call.
            self.frames.extend(read(&found[2]).and_then(|back| back.checked_sub(1)));
        }
    }

    fn keep_frames(&mut self, text: &str) {
        let room = MOST_FRAMES.saturating_sub(self.frames.len());
        let read = FRAME.captures_iter(text).filter_map(|f| u32::from_str_radix(&f[1], 16).ok());
        self.frames.extend(read.take(room));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(log: &str) -> Crash {
        let mut crash = Crash::default();
        for line in log.lines() {
            assert!(!crash.take(line) || TELLING.is_match(line), "{line} would not be heard");
        }
        crash
    }

    #[test]
    fn xtensa_prints_pairs_of_addresses_and_may_break_off() {
        let crash = read(
            "Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.\n\
             PC      : 0x400d5e2b  PS      : 0x00060d30  A0      : 0x800d5f07\n\n\
             Backtrace: 0x400d5e28:0x3ffb4f40 0x400d5f04:0x3ffb4f60 |<-CORRUPTED\n\n\
             ELF file SHA256: 0123456789abcdef\n\nRebooting...",
        );
        assert_eq!(crash.cause.as_deref(), Some("LoadProhibited"));
        assert_eq!(crash.frames, [0x400d_5e28, 0x400d_5f04]);
        assert!(crash.is_cut_off && !crash.dumped);
        assert_eq!(crash.elf_digest.as_deref(), Some("0123456789abcdef"));
        let old = read("Backtrace:0x400d5e28:0x3ffb4f40 0x400d5f04:0x3ffb4f60");
        assert_eq!(old.frames, crash.frames[..]);
    }

    #[test]
    fn riscv_prints_registers_and_no_calls() {
        let crash = read(
            "Guru Meditation Error: Core  0 panic'ed (Load access fault). Exception was unhandled.\n\n\
             Core  0 register dump:\n\
             MEPC    : 0x42001234  RA      : 0x42005678  SP      : 0x3fc94f00  GP      : 0x3fc8b400\n\n\
             Stack memory:\n3fc94f00: 0x00000000 0x42001111 0x00000000 0x00000000\n\
             I (400) esp_core_dump_flash: Core dump has been saved to flash.\n\
             ELF file SHA256: 0000000000000000",
        );
        assert_eq!(crash.frames, [0x4200_1234, 0x4200_5677]);
        assert_eq!((crash.dumped, crash.elf_digest), (true, None), "zeros name no ELF");
    }

    #[test]
    fn rust_prints_one_address_a_line() {
        let crash = read(
            "====================== PANIC ======================\n\
             panicked at src/main.rs:42:5:\nno network\n\nBacktrace:\n\n0x42001234\n0x42005678\n\
             0x4200aaaa - app::main\n    at src/main.rs:1\nI (1) app: 0x42009999",
        );
        assert_eq!(crash.cause.as_deref(), Some("panicked at src/main.rs:42:5"));
        assert_eq!(crash.frames, [0x4200_1234, 0x4200_5678, 0x4200_aaaa]);
    }

    #[test]
    fn what_follows_a_reset_is_another_crash() {
        let mut crash = read("abort() was called at PC 0x400d1111 on core 0");
        crash.end();
        assert!(!crash.take("Backtrace: 0x400d5e28:0x3ffb4f40"));
        assert_eq!((crash.cause.as_deref(), crash.frames.len()), (Some("abort()"), 0));
    }
}
