//! The CSV's encodings: text or file content ↔ [`Value`].
//!
//! Must not know of rows and columns; whoever calls adds the position.

mod base64;
mod fill;
mod float;

use super::mode::Mode;
use crate::text;
use crate::value::Value;

/// What a row's value is made from.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// The value column.
    Inline(&'a str),
    /// The content of the file that the value column names.
    File(&'a [u8]),
}

/// Why a value cannot be read in its encoding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// No such encoding.
    #[error(
        "the encoding {}does not exist{}; use u8 … i64, float, double, string, hex2bin, base64 or binary",
        named(found),
        hint(found)
    )]
    Unknown {
        /// What stands there.
        found: String,
    },
    /// Capitals, for which the reference stores the text undecoded.
    #[error("the reference generator stores the text of `{found}` undecoded; write `{}`", found.to_lowercase())]
    Capitals {
        /// What stands there.
        found: String,
    },
    /// An encoding that only strict mode has.
    #[error("the reference generator does not know `{found}`; use the strict mode")]
    NotInReference {
        /// What stands there.
        found: &'static str,
    },
    /// Not a decimal number.
    #[error("the value is not a decimal number; {encoding} takes such as 1.5, -2e-3, inf and nan")]
    NotANumber {
        /// The row's encoding.
        encoding: &'static str,
    },
    /// A number that would become infinite or zero.
    #[error("the value is out of range; {encoding} takes magnitudes of {range}, and 0")]
    MagnitudeOutOfRange {
        /// The row's encoding.
        encoding: &'static str,
        /// Smallest and largest magnitude.
        range: &'static str,
    },
    /// Not a decimal integer.
    #[error("the value is not a decimal integer; {encoding} takes {range}")]
    NotAnInteger {
        /// The row's encoding.
        encoding: &'static str,
        /// Smallest and largest value.
        range: String,
    },
    /// An integer that the type cannot hold.
    #[error("the value is out of range; {encoding} takes {range}")]
    OutOfRange {
        /// The row's encoding.
        encoding: &'static str,
        /// Smallest and largest value.
        range: String,
    },
    /// An odd number of hexadecimal digits.
    #[error("{digits} hexadecimal digits are not whole bytes; write two digits a byte")]
    OddHex {
        /// Their number.
        digits: usize,
    },
    /// Something that is no hexadecimal digit.
    #[error("character {at} is not a hexadecimal digit; write digits and a to f only")]
    NotHex {
        /// Which character of the value, from 1.
        at: usize,
    },
    /// Not base64.
    #[error("the value is not base64 ({reason}); encode it again")]
    NotBase64 {
        /// What is wrong with it.
        reason: String,
    },
    /// Inline `binary` beyond ASCII, for which the reference stores a wrong CRC.
    #[error("an inline binary value must be ASCII; write it as hex2bin or as a file row")]
    BinaryNotAscii,
    /// A file that is to be a string but is not text.
    #[error("the file is not UTF-8 (byte {at}); store it with the encoding binary")]
    FileNotUtf8 {
        /// Offset of the first wrong byte.
        at: usize,
    },
    /// `blob_fill` and its like without length or byte.
    #[error("`{found}` is not of the form blob_fill(LENGTH;0xXX) or blob_sz_fill(LENGTH;0xXX)")]
    FillForm {
        /// What stands there.
        found: String,
    },
    /// A value longer than the fill's length.
    #[error("the value has {bytes} bytes, the fill {length}; raise the length")]
    FillOverflow {
        /// Length of the value.
        bytes: usize,
        /// Length asked for.
        length: usize,
    },
    /// A fill over a file, which the reference cannot do.
    #[error("`{found}` takes an inline value only")]
    FillFromFile {
        /// What stands there.
        found: String,
    },
}

/// Names only what is plainly an encoding, misspelt: a value that slipped into this column may be a
/// secret.
fn named(found: &str) -> String {
    if hint(found).is_empty() { String::new() } else { format!("`{found}` ") }
}

fn hint(found: &str) -> String {
    match found {
        "f32" => return " (did you mean `float`?)".to_owned(),
        "f64" => return " (did you mean `double`?)".to_owned(),
        _ => {}
    }
    let narrow = found.strip_prefix("uint").or(found.strip_prefix("int"));
    match narrow.and_then(|bits| bits.trim_end_matches("_t").parse::<u8>().ok()) {
        Some(bits) => format!(" (did you mean `{}{bits}`?)", &found[..1]),
        None => String::new(),
    }
}

/// Reads one value.
pub(super) fn decode(
    encoding: &str,
    source: Source<'_>,
    mode: Mode,
) -> Result<Value, EncodingError> {
    if encoding.starts_with("blob_fill") || encoding.starts_with("blob_sz_fill") {
        return fill::fill(encoding, source, mode);
    }
    let lower = encoding.to_ascii_lowercase();
    if encoding != lower && matches!(lower.as_str(), "hex2bin" | "base64" | "string") {
        let found = encoding.to_owned();
        return Err(EncodingError::Capitals { found });
    }
    match lower.as_str() {
        "u8" => integer(source, "u8", Value::U8),
        "i8" => integer(source, "i8", Value::I8),
        "u16" => integer(source, "u16", Value::U16),
        "i16" => integer(source, "i16", Value::I16),
        "u32" => integer(source, "u32", Value::U32),
        "i32" => integer(source, "i32", Value::I32),
        "u64" => integer(source, "u64", Value::U64),
        "i64" => integer(source, "i64", Value::I64),
        "float" if mode == Mode::Strict => float::float(source),
        "double" if mode == Mode::Strict => float::double(source),
        "float" => Err(EncodingError::NotInReference { found: "float" }),
        "double" => Err(EncodingError::NotInReference { found: "double" }),
        "string" => text(source).map(Value::str),
        "binary" => binary(source).map(Value::Blob),
        "hex2bin" => hex(source.bytes().trim_ascii()).map(Value::Blob),
        "base64" => base64::decode(source.bytes(), mode).map(Value::Blob),
        _ => Err(EncodingError::Unknown { found: encoding.to_owned() }),
    }
}

/// A value as the encoding and the text that strict mode reads as the same value.
///
/// # Errors
/// A string that is not UTF-8.
pub(super) fn encode(value: &Value) -> Result<(&'static str, String), std::str::Utf8Error> {
    Ok(match value {
        Value::U8(v) => ("u8", v.to_string()),
        Value::I8(v) => ("i8", v.to_string()),
        Value::U16(v) => ("u16", v.to_string()),
        Value::I16(v) => ("i16", v.to_string()),
        Value::U32(v) => ("u32", v.to_string()),
        Value::I32(v) => ("i32", v.to_string()),
        Value::U64(v) => ("u64", v.to_string()),
        Value::I64(v) => ("i64", v.to_string()),
        Value::F32(v) => ("float", float::float_text(*v)),
        Value::F64(v) => ("double", float::double_text(*v)),
        Value::Str(bytes) => ("string", std::str::from_utf8(bytes)?.to_owned()),
        Value::Blob(bytes) => ("hex2bin", text::hex(bytes)),
    })
}

impl<'a> Source<'a> {
    fn bytes(self) -> &'a [u8] {
        match self {
            Source::Inline(text) => text.as_bytes(),
            Source::File(bytes) => bytes,
        }
    }
}

fn text(source: Source<'_>) -> Result<&str, EncodingError> {
    match source {
        Source::Inline(text) => Ok(text),
        Source::File(bytes) => std::str::from_utf8(bytes).map_err(|error| {
            let at = error.valid_up_to();
            EncodingError::FileNotUtf8 { at }
        }),
    }
}

fn binary(source: Source<'_>) -> Result<Vec<u8>, EncodingError> {
    match source {
        Source::Inline(text) if !text.is_ascii() => Err(EncodingError::BinaryNotAscii),
        other => Ok(other.bytes().to_vec()),
    }
}

/// Python's `int()` of decimal digits: spaces around, a sign, single underscores.
fn integer<T>(
    source: Source<'_>,
    encoding: &'static str,
    wrap: fn(T) -> Value,
) -> Result<Value, EncodingError>
where
    T: Bounds,
{
    let range = || format!("{} to {}", T::MIN, T::MAX);
    let text = source.bytes().trim_ascii();
    let (sign, digits) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        rest => (1, rest),
    };
    let groups = || digits.split(|&byte| byte == b'_');
    if !groups().all(|group| !group.is_empty() && group.iter().all(u8::is_ascii_digit)) {
        let range = range();
        return Err(EncodingError::NotAnInteger { encoding, range });
    }
    // Saturates far outside of every type's range.
    let magnitude = groups().flatten().fold(0i128, |number, digit| {
        number.saturating_mul(10).saturating_add(i128::from(digit - b'0'))
    });
    T::try_from(sign * magnitude).map(wrap).map_err(|_| {
        let range = range();
        EncodingError::OutOfRange { encoding, range }
    })
}

/// An integer type's range, for the message.
trait Bounds: TryFrom<i128> {
    const MIN: i128;
    const MAX: i128;
}

macro_rules! bounds {
    ($($integer:ty),*) => {
        $(impl Bounds for $integer {
            const MIN: i128 = <$integer>::MIN as i128;
            const MAX: i128 = <$integer>::MAX as i128;
        })*
    };
}
bounds!(u8, i8, u16, i16, u32, i32, u64, i64);

fn hex(digits: &[u8]) -> Result<Vec<u8>, EncodingError> {
    let nibble = |at: usize| -> Result<u8, EncodingError> {
        match digits[at] {
            digit @ b'0'..=b'9' => Ok(digit - b'0'),
            digit @ b'a'..=b'f' => Ok(digit - b'a' + 10),
            digit @ b'A'..=b'F' => Ok(digit - b'A' + 10),
            _ => Err(EncodingError::NotHex { at: at + 1 }),
        }
    };
    if !digits.len().is_multiple_of(2) {
        let digits = digits.len();
        return Err(EncodingError::OddHex { digits });
    }
    (0..digits.len()).step_by(2).map(|at| Ok(nibble(at)? << 4 | nibble(at + 1)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inline(encoding: &str, text: &str) -> Result<Value, EncodingError> {
        decode(encoding, Source::Inline(text), Mode::Strict)
    }

    #[test]
    fn integers_are_read_as_python_reads_them() {
        assert_eq!(inline("u8", " +2_5 "), Ok(Value::U8(25)));
        assert_eq!(inline("I8", "-128"), Ok(Value::I8(-128)));
        assert_eq!(inline("u64", "18446744073709551615"), Ok(Value::U64(u64::MAX)));
        for wrong in ["0x10", "", "1__0", "_1", "1.0", "-", "--1"] {
            let error = inline("u8", wrong).unwrap_err();
            assert!(matches!(error, EncodingError::NotAnInteger { .. }), "{wrong}");
        }
    }

    #[test]
    fn a_number_out_of_range_is_refused_with_the_range() {
        let error = inline("i8", "128").unwrap_err();
        assert_eq!(error.to_string(), "the value is out of range; i8 takes -128 to 127");
        let long = "9".repeat(60);
        let error = inline("u64", &long).unwrap_err();
        assert!(matches!(error, EncodingError::OutOfRange { .. }));
    }

    #[test]
    fn hexadecimal_needs_whole_bytes_of_digits() {
        assert_eq!(inline("hex2bin", " 00fF\n"), Ok(Value::Blob(vec![0, 255])));
        assert_eq!(inline("hex2bin", ""), Ok(Value::Blob(vec![])));
        assert_eq!(inline("hex2bin", "123"), Err(EncodingError::OddHex { digits: 3 }));
        assert_eq!(inline("hex2bin", "0g"), Err(EncodingError::NotHex { at: 2 }));
    }

    #[test]
    fn capitals_that_the_reference_does_not_decode_are_refused() {
        for found in ["HEX2BIN", "Base64", "STRING"] {
            let error = inline(found, "00").unwrap_err();
            assert!(matches!(error, EncodingError::Capitals { .. }), "{found}");
        }
    }

    #[test]
    fn an_unknown_encoding_comes_with_a_guess() {
        let message = inline("uint8_t", "1").unwrap_err().to_string();
        assert!(message.contains("did you mean `u8`?"), "{message}");
        let message = inline("f64", "1").unwrap_err().to_string();
        assert!(message.contains("did you mean `double`?"), "{message}");
    }
}
