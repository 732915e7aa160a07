//! `float` and `double`: decimal text ↔ the bits of a number, without loss.
//!
//! The reference generator (0.3.0) has no encoding for the types that came with
//! ESP-IDF 6.1; the names are those of C and of `nvs_set_float`, `nvs_set_double`.

use std::fmt::Debug;
use std::str::FromStr;

use super::{EncodingError, Source};
use crate::value::Value;

/// A binary number of IEEE 754, as its bits.
trait Binary: FromStr + Debug {
    const ENCODING: &'static str;
    /// Smallest and largest magnitude, for the message.
    const RANGE: &'static str;
    const SIGN: u64;
    /// Greater magnitudes are no numbers.
    const INFINITY: u64;
    /// The NaN that processors make.
    const PLAIN_NAN: u64;
    fn from_bits(bits: u64) -> Self;
    fn bits(&self) -> u64;
}

impl Binary for f32 {
    const ENCODING: &'static str = "float";
    const RANGE: &'static str = "1e-45 to 3.4028235e38";
    const SIGN: u64 = 1 << 31;
    const INFINITY: u64 = 0x7F80_0000;
    const PLAIN_NAN: u64 = 0x7FC0_0000;
    fn from_bits(bits: u64) -> Self {
        f32::from_bits(u32::try_from(bits).expect("a sign and a magnitude of 31 bits"))
    }
    fn bits(&self) -> u64 {
        u64::from(self.to_bits())
    }
}

impl Binary for f64 {
    const ENCODING: &'static str = "double";
    const RANGE: &'static str = "5e-324 to 1.7976931348623157e308";
    const SIGN: u64 = 1 << 63;
    const INFINITY: u64 = 0x7FF0_0000_0000_0000;
    const PLAIN_NAN: u64 = 0x7FF8_0000_0000_0000;
    fn from_bits(bits: u64) -> Self {
        f64::from_bits(bits)
    }
    fn bits(&self) -> u64 {
        self.to_bits()
    }
}

pub(super) fn float(source: Source<'_>) -> Result<Value, EncodingError> {
    read(source).map(Value::F32)
}

pub(super) fn double(source: Source<'_>) -> Result<Value, EncodingError> {
    read(source).map(Value::F64)
}

/// The shortest text that is read as the same bits.
pub(super) fn float_text(number: f32) -> String {
    text(&number)
}

/// The same for a double.
pub(super) fn double_text(number: f64) -> String {
    text(&number)
}

fn text<T: Binary>(number: &T) -> String {
    let magnitude = number.bits() & !T::SIGN;
    if magnitude <= T::INFINITY {
        // Shortest by Rust's promise; with an exponent where zeros would be many.
        return format!("{number:?}");
    }
    let sign = if number.bits() == magnitude { "" } else { "-" };
    match magnitude == T::PLAIN_NAN {
        true => format!("{sign}nan"),
        // As C's strtod has it: what lies beside the exponent.
        false => format!("{sign}nan(0x{:x})", magnitude - T::INFINITY),
    }
}

fn read<T: Binary>(source: Source<'_>) -> Result<T, EncodingError> {
    let encoding = T::ENCODING;
    let no_number = || EncodingError::NotANumber { encoding };
    let text = std::str::from_utf8(source.bytes().trim_ascii()).map_err(|_| no_number())?;
    let (sign, magnitude) = match text.strip_prefix('-') {
        Some(magnitude) => (T::SIGN, magnitude),
        None => (0, text.strip_prefix('+').unwrap_or(text)),
    };
    let bits = match named::<T>(&magnitude.to_ascii_lowercase()) {
        Some(bits) => bits,
        None if magnitude.starts_with(|c: char| c == '.' || c.is_ascii_digit()) => {
            let bits = magnitude.parse::<T>().map_err(|_| no_number())?.bits();
            if bits == T::INFINITY || (bits == 0 && has_digits(magnitude)) {
                return Err(EncodingError::MagnitudeOutOfRange { encoding, range: T::RANGE });
            }
            bits
        }
        None => return Err(no_number()),
    };
    Ok(T::from_bits(sign | bits))
}

/// Infinity and the NaNs.
fn named<T: Binary>(lower: &str) -> Option<u64> {
    match lower {
        "inf" | "infinity" => return Some(T::INFINITY),
        "nan" => return Some(T::PLAIN_NAN),
        _ => {}
    }
    let digits = lower.strip_prefix("nan(0x")?.strip_suffix(')')?;
    let bits = T::INFINITY.checked_add(u64::from_str_radix(digits, 16).ok()?)?;
    (bits > T::INFINITY && bits < T::SIGN).then_some(bits)
}

/// Whether decimal text means something else than zero.
fn has_digits(magnitude: &str) -> bool {
    let mantissa = magnitude.split(['e', 'E']).next().unwrap_or_default();
    mantissa.contains(|c: char| matches!(c, '1'..='9'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn f32_of(text: &str) -> Result<Value, EncodingError> {
        float(Source::Inline(text))
    }

    #[test]
    fn numbers_are_read_as_written() {
        assert_eq!(f32_of(" 1.5 "), Ok(Value::F32(1.5)));
        assert_eq!(f32_of("+.5"), Ok(Value::F32(0.5)));
        assert_eq!(f32_of("-0"), Ok(Value::F32(-0.0)));
        assert_eq!(f32_of("0e99"), Ok(Value::F32(0.0)));
        assert_eq!(f32_of("-INF"), Ok(Value::F32(f32::NEG_INFINITY)));
        assert_eq!(f32_of("NaN"), Ok(Value::F32(f32::from_bits(0x7FC0_0000))));
        assert_eq!(f32_of("-nan(0x1)"), Ok(Value::F32(f32::from_bits(0xFF80_0001))));
        assert_eq!(double(Source::Inline("0.1")), Ok(Value::F64(0.1)));
    }

    #[test]
    fn what_is_no_number_or_does_not_fit_is_refused() {
        for wrong in
            ["", "-", "--1", "+-1", "1,5", "0x10", "1_0", "nan()", "nan(0x0)", "infi", "e5"]
        {
            let error = f32_of(wrong).unwrap_err();
            assert!(matches!(error, EncodingError::NotANumber { .. }), "{wrong}");
        }
        assert!(f32_of("nan(0x800000)").is_err(), "it would reach into the exponent");
        for far in ["1e39", "-3.5e38", "1e-46"] {
            let error = f32_of(far).unwrap_err();
            assert!(matches!(error, EncodingError::MagnitudeOutOfRange { .. }), "{far}");
            assert!(double(Source::Inline(far)).is_ok(), "{far}");
        }
    }

    #[test]
    fn text_is_short() {
        assert_eq!(float_text(0.1), "0.1");
        assert_eq!(float_text(-0.0), "-0.0");
        assert_eq!(double_text(1e300), "1e300");
        assert_eq!(double_text(f64::INFINITY), "inf");
        assert_eq!(float_text(f32::from_bits(0xFFC0_0000)), "-nan");
        assert_eq!(float_text(f32::from_bits(0x7FC0_0001)), "nan(0x400001)");
    }

    proptest! {
        #[test]
        fn every_float_survives_its_text(bits: u32) {
            let number = f32::from_bits(bits);
            prop_assert_eq!(f32_of(&float_text(number)), Ok(Value::F32(number)));
        }

        #[test]
        fn every_double_survives_its_text(bits: u64) {
            let number = f64::from_bits(bits);
            let text = double_text(number);
            prop_assert_eq!(double(Source::Inline(&text)), Ok(Value::F64(number)));
        }
    }
}
