//! Offsets and sizes as people write them: bytes, decimal or hexadecimal, or with a K or an M behind.

pub(super) fn number(text: &str) -> Result<u32, String> {
    let (digits, unit) = match text.strip_suffix(['K', 'k']) {
        Some(digits) => (digits, 1 << 10),
        None => text.strip_suffix(['M', 'm']).map_or((text, 1), |digits| (digits, 1 << 20)),
    };
    let number = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    let number = number.ok().and_then(|number| number.checked_mul(unit));
    number.ok_or_else(|| "expected bytes below 4 GB, such as 4096, 0x1000, 4K or 1M".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_in_several_ways() {
        for text in ["65536", "0x10000", "0X10000", "64K", "0x40k"] {
            assert_eq!(number(text), Ok(0x1_0000), "{text}");
        }
        assert_eq!(number("4M"), Ok(4 << 20));
        for text in ["", "K", "0x", "-1", "4096M", "1.5M", "ten"] {
            assert!(number(text).is_err(), "{text}");
        }
    }
}
