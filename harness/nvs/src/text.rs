//! How bytes are shown: as quoted text, or as hexadecimal digits.
//!
//! Must not know what the bytes are, nor whether anybody may see them.

use std::fmt::Write;

/// Text in quotes and escaped; bytes that are none as `\x` and two digits.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        write!(text, "{}", chunk.valid().escape_debug()).expect("a string takes all writes");
        for byte in chunk.invalid() {
            write!(text, "\\x{byte:02x}").expect("a string takes all writes");
        }
    }
    text.push('"');
    text
}

/// Two digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string takes all writes");
    }
    text
}
