//! The reference generator's undocumented `blob_fill` and `blob_sz_fill`.

use super::{EncodingError, Source};
use crate::document::mode::Mode;
use crate::limits::BLOB_MAX_BYTES;
use crate::value::Value;

/// `blob_fill(N;0xXX)`: the value padded to N bytes. `blob_sz_fill`: the same
/// behind the value's length as a little-endian word.
pub(super) fn fill(encoding: &str, source: Source<'_>, mode: Mode) -> Result<Value, EncodingError> {
    let form = || EncodingError::FillForm { found: encoding.to_owned() };
    let Source::Inline(value) = source else {
        let found = encoding.to_owned();
        return Err(EncodingError::FillFromFile { found });
    };
    let (name, arguments) = encoding.split_once('(').ok_or_else(form)?;
    let (arguments, tail) = arguments.split_once(')').ok_or_else(form)?;
    let (length, byte) = arguments.split_once(";0x").ok_or_else(form)?;
    let well_formed = length.bytes().all(|digit| digit.is_ascii_digit())
        && byte.len() == 2
        && byte.bytes().all(|digit| digit.is_ascii_hexdigit())
        && (tail.is_empty() || mode == Mode::Compat);
    if !well_formed {
        return Err(form());
    }
    let byte = u8::from_str_radix(byte, 16).map_err(|_| form())?;
    let length: usize = length.parse().map_err(|_| form())?;
    if length > BLOB_MAX_BYTES || value.len() > length {
        let bytes = value.len();
        return Err(EncodingError::FillOverflow { bytes, length });
    }
    let mut filled = match name {
        "blob_fill" => Vec::new(),
        "blob_sz_fill" => u32::try_from(value.len()).map_err(|_| form())?.to_le_bytes().to_vec(),
        _ => return Err(form()),
    };
    let end = filled.len() + length;
    filled.extend_from_slice(value.as_bytes());
    filled.resize(end, byte);
    Ok(Value::Blob(filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inline(encoding: &str, text: &str) -> Result<Value, EncodingError> {
        fill(encoding, Source::Inline(text), Mode::Strict)
    }

    #[test]
    fn fills_pad_a_value_to_their_length() {
        assert_eq!(
            inline("blob_fill(4;0xAb)", "hi"),
            Ok(Value::Blob(vec![b'h', b'i', 0xAB, 0xAB]))
        );
        assert_eq!(
            inline("blob_sz_fill(3;0x00)", "hi"),
            Ok(Value::Blob(vec![2, 0, 0, 0, b'h', b'i', 0]))
        );
        assert!(inline("blob_fill(1;0x00)", "hi").is_err());
        assert!(inline("blob_fill(1,0x00)", "").is_err());
        assert!(inline("blob_fill(9999999999;0x00)", "").is_err());
    }
}
