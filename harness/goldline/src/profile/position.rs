//! Where a byte stands in a text, as people count.

use std::fmt;

/// Line and column, both counted from 1; columns count characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LineColumn {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl LineColumn {
    /// The place of the byte at `offset`; one behind the end stands at the end.
    pub fn of(text: &str, offset: usize) -> Self {
        let before = &text.as_bytes()[..offset.min(text.len())];
        let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        // A character is counted at its first byte, so that an offset inside of one cannot panic.
        let begins = |byte: &&u8| (**byte & 0xC0) != 0x80;
        Self {
            line: 1 + before.iter().filter(|&&byte| byte == b'\n').count(),
            column: 1 + before[start..].iter().filter(begins).count(),
        }
    }
}

impl fmt::Display for LineColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_in_characters() {
        let text = "a\nüb\n";
        let place = |offset| LineColumn::of(text, offset);
        assert_eq!(place(0), LineColumn { line: 1, column: 1 });
        assert_eq!(place(2), LineColumn { line: 2, column: 1 });
        assert_eq!(place(4), LineColumn { line: 2, column: 2 });
        assert_eq!(place(99), LineColumn { line: 3, column: 1 });
    }
}
