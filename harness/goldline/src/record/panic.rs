//! Where a unit's firmware crashed, as far as its backtrace could be read.

use serde::{Deserialize, Serialize};

/// Functions that only handle a crash: whoever called them tells more.
const HANDLERS: [&str; 12] = [
    "panic_abort",
    "esp_system_abort",
    "abort",
    "__assert_func",
    "__assert",
    "vApplicationStackOverflowHook",
    "lock_acquire_generic",
    "rust_begin_unwind",
    "rust_panic",
    "_esp_error_check_failed",
    "__stack_chk_fail",
    "__cxa_throw",
];

/// The first crash of a run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Panic {
    /// Such as `LoadProhibited`.
    pub cause: Option<String>,
    /// Innermost first; inlined functions stand before the one that they are a part of.
    pub frames: Vec<PanicFrame>,
    /// What keeps the backtrace from being read, or casts doubt on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The partition that holds a core dump, as the unit says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core_dump: Option<String>,
}

/// One call of a backtrace.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PanicFrame {
    /// As the unit printed it, such as `0x400d5e28`.
    pub address: String,
    /// The function there, demangled.
    pub function: Option<String>,
    /// File and line, such as `main/wifi.c:42`.
    pub place: Option<String>,
}

impl Panic {
    /// Such as `panicked (LoadProhibited) in wifi_start at main/wifi.c:42`; `None` where no place is known.
    pub fn sentence(&self) -> Option<String> {
        let known = || self.frames.iter().filter(|frame| frame.function.is_some());
        let frame = known().find(|frame| !frame.is_handler()).or_else(|| known().next())?;
        let cause = self.cause.as_ref().map_or_else(String::new, |cause| format!(" ({cause})"));
        Some(format!("panicked{cause} in {}", frame.words()))
    }

    /// Everything about it, a line each.
    pub fn evidence(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let decoded = self.frames.iter().filter(|frame| frame.function.is_some());
        lines
            .extend(decoded.map(|frame| format!("backtrace {}: {}", frame.address, frame.words())));
        lines.extend(self.note.clone());
        lines.extend(self.core_dump.as_ref().map(|place| format!("a core dump is in {place}")));
        lines
    }
}

impl PanicFrame {
    fn is_handler(&self) -> bool {
        let name = self.function.as_deref().unwrap_or_default();
        HANDLERS.contains(&name)
            || name.starts_with("core::panicking::")
            || name.starts_with("std::")
    }

    /// Such as `wifi_start at main/wifi.c:42`.
    pub fn words(&self) -> String {
        let function = self.function.as_deref().unwrap_or("an unknown function");
        match &self.place {
            Some(place) => format!("{function} at {place}"),
            None => function.to_owned(),
        }
    }
}
