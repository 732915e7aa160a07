//! CSV text → records of fields with their positions.
//!
//! Splits as Python's `csv` module does in its default dialect, since that is
//! what the reference generator reads with. Must not know what a column means.

use std::borrow::Cow;

use super::{CsvError, Mode, Position, Problem};

/// A line of another kind can have a million separators.
const COLUMNS_LOOKED_AT: usize = 16;

/// One field of a record.
#[derive(Debug)]
pub(super) struct Field<'t> {
    pub text: Cow<'t, str>,
    pub quoted: bool,
    place: Place<'t>,
}

/// Where something begins. Columns are counted only when they are asked for: a
/// line can have a million fields.
#[derive(Clone, Copy, Debug)]
struct Place<'t> {
    line: u32,
    before: &'t str,
}

impl Field<'_> {
    pub fn position(&self) -> Position {
        self.place.position()
    }
}

impl Place<'_> {
    fn position(&self) -> Position {
        Position { line: self.line, column: saturate(self.before.chars().count() + 1) }
    }
}

/// The bytes as text with LF line ends and without a byte order mark.
pub(super) fn text(bytes: &[u8]) -> Result<Cow<'_, str>, CsvError> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let valid = &bytes[..error.valid_up_to()];
        let start = valid.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        let line = valid.iter().filter(|&&b| b == b'\n').count() + 1;
        let column = String::from_utf8_lossy(&valid[start..]).chars().count() + 1;
        let byte = bytes[valid.len()];
        Problem::NotUtf8 { byte }.at(saturate(line), saturate(column))
    })?;
    if !text.contains('\r') {
        return Ok(Cow::Borrowed(text));
    }
    Ok(Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")))
}

/// The records of a text, one after another, blank and comment lines left out.
pub(super) struct Records<'t> {
    text: &'t str,
    mode: Mode,
    /// Byte offset of what is read next.
    at: usize,
    line: u32,
    line_start: usize,
}

impl<'t> Records<'t> {
    pub fn new(text: &'t str, mode: Mode) -> Self {
        Self { text, mode, at: 0, line: 1, line_start: 0 }
    }

    /// The first record, which names the columns.
    pub fn header(&mut self) -> Result<Vec<Field<'t>>, CsvError> {
        let Some(line) = self.next_line() else {
            return Err(Problem::NoHeader.at(1, 1));
        };
        match foreign_separator(line, |columns| columns.contains(&"key")) {
            Some((found, before)) => {
                let position = Place { line: self.line, before }.position();
                Err(Problem::Separator { found }.at_position(position))
            }
            None => self.record(),
        }
    }

    /// The line at which the next record begins: neither blank nor a comment.
    fn next_line(&mut self) -> Option<&'t str> {
        while self.at < self.text.len() {
            let line = self.rest().split('\n').next().unwrap_or_default();
            if !line.starts_with('#') && !line.trim().is_empty() {
                return Some(line);
            }
            self.at = (self.at + line.len() + 1).min(self.text.len());
            self.begin_line();
        }
        None
    }

    /// The fields up to the line's end, or the first error among them.
    fn record(&mut self) -> Result<Vec<Field<'t>>, CsvError> {
        let mut fields = Vec::with_capacity(4);
        let mut first_error = None;
        loop {
            match self.field() {
                Ok(field) => fields.push(field),
                Err(error) => drop(first_error.get_or_insert(error)),
            }
            let next = self.rest().as_bytes().first();
            self.at += usize::from(next.is_some());
            if next == Some(&b',') {
                continue;
            }
            if next.is_some() {
                self.begin_line();
            }
            return first_error.map_or(Ok(fields), Err);
        }
    }

    /// One field, up to but without the comma or line end behind it.
    fn field(&mut self) -> Result<Field<'t>, CsvError> {
        let place = self.place();
        if self.rest().starts_with('"') {
            return self.quoted(place);
        }
        Ok(Field { text: Cow::Borrowed(self.unquoted()), quoted: false, place })
    }

    fn unquoted(&mut self) -> &'t str {
        let rest = self.rest();
        let end = rest.find([',', '\n']).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn quoted(&mut self, place: Place<'t>) -> Result<Field<'t>, CsvError> {
        self.at += 1;
        let mut text = Cow::Borrowed("");
        let mut comment = None;
        loop {
            let rest = self.rest();
            let Some(end) = rest.find('"') else {
                self.at = self.text.len();
                return Err(Problem::OpenQuote.at_position(place.position()));
            };
            let crossed = self.cross_lines(end);
            comment = comment.or(crossed);
            append(&mut text, &rest[..end]);
            self.at += 1;
            if !self.rest().starts_with('"') {
                break;
            }
            append(&mut text, "\"");
            self.at += 1;
        }
        let after = self.place();
        let tail = self.unquoted();
        if let Some(comment) = comment {
            return Err(Problem::CommentInQuote.at_position(comment.position()));
        }
        if self.mode == Mode::Strict && !tail.trim().is_empty() {
            return Err(Problem::TextAfterQuote.at_position(after.position()));
        }
        if self.mode == Mode::Compat {
            append(&mut text, tail);
        }
        Ok(Field { text, quoted: true, place })
    }

    /// Moves on by `bytes` of quoted text, counting the lines it crosses. Gives
    /// the first of them that the reference takes for a comment.
    fn cross_lines(&mut self, bytes: usize) -> Option<Place<'t>> {
        let end = self.at + bytes;
        let mut comment = None;
        while let Some(newline) = self.text[self.at..end].find('\n') {
            self.at += newline + 1;
            self.begin_line();
            if self.rest().starts_with('#') {
                comment.get_or_insert(self.place());
            }
        }
        self.at = end;
        comment
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn begin_line(&mut self) {
        self.line = self.line.saturating_add(1);
        self.line_start = self.at;
    }

    fn place(&self) -> Place<'t> {
        Place { line: self.line, before: &self.text[self.line_start..self.at] }
    }
}

/// Each record that is neither blank nor a comment. An error spoils its own
/// record only; reading goes on behind it.
impl<'t> Iterator for Records<'t> {
    type Item = Result<Vec<Field<'t>>, CsvError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_line()?;
        Some(self.record())
    }
}

/// A semicolon or tab that splits a line without commas into what `are_columns`
/// knows, and what stands before it.
pub(super) fn foreign_separator(
    line: &str,
    are_columns: impl Fn(&[&str]) -> bool,
) -> Option<(char, &str)> {
    if line.contains(',') {
        return None;
    }
    [';', '\t'].into_iter().find_map(|separator| {
        let (before, _) = line.split_once(separator)?;
        let is_frame = |c: char| c == '"' || c.is_whitespace();
        let columns: Vec<&str> = line
            .split(separator)
            .take(COLUMNS_LOOKED_AT)
            .map(|c| c.trim_matches(is_frame))
            .collect();
        are_columns(&columns).then_some((separator, before))
    })
}

fn append<'t>(text: &mut Cow<'t, str>, part: &'t str) {
    if text.is_empty() {
        *text = Cow::Borrowed(part);
    } else if !part.is_empty() {
        text.to_mut().push_str(part);
    }
}

fn saturate(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str, mode: Mode) -> Vec<Vec<String>> {
        let fields = |record: Vec<Field<'_>>| {
            record.into_iter().map(|field| field.text.into_owned()).collect()
        };
        Records::new(text, mode).map(|record| fields(record.unwrap())).collect()
    }

    #[test]
    fn quotes_commas_and_line_breaks_are_read_as_python_does() {
        let text = "a,\"b,\"\"c\"\"\nd\",e\"f\n\n#x\n \n,\n";
        let expected: Vec<Vec<&str>> = vec![vec!["a", "b,\"c\"\nd", "e\"f"], vec!["", ""]];
        assert_eq!(split(text, Mode::Strict), expected);
        assert_eq!(split("\"a\"b,c", Mode::Compat), [["ab", "c"]]);
        assert_eq!(split("\"\"\"\"", Mode::Strict), [["\""]]);
    }

    #[test]
    fn line_ends_and_a_byte_order_mark_are_normalised() {
        assert_eq!(text(b"\xEF\xBB\xBFa\r\nb\rc\n").unwrap(), "a\nb\nc\n");
    }

    #[test]
    fn errors_say_where() {
        let error = text(b"ab\nc\xFFd").unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 2, column 2: the byte 0xff is not UTF-8; save the file as UTF-8"
        );
        let position = |text, mode| {
            let error = Records::new(text, mode).find_map(Result::err).expect("an error");
            (error.position.line, error.position.column)
        };
        assert_eq!(position("a\né,\"b", Mode::Strict), (2, 3));
        assert_eq!(position("\"a\nb\"x", Mode::Strict), (2, 3));
        assert_eq!(position("\"a\n#b\"", Mode::Compat), (2, 1));
    }

    #[test]
    fn reading_goes_on_behind_an_error() {
        let text = "a,\"b\"x,\"c\"y\nd,\"e\n#f\ng\"\nh,i\nj,\"k\n#l";
        let mut records = Records::new(text, Mode::Strict);
        let mut next = || records.next().map(|record| record.map_err(|error| error.to_string()));
        assert!(next().unwrap().unwrap_err().starts_with("line 1, column 6: text after"));
        assert!(next().unwrap().unwrap_err().starts_with("line 3, column 1: a line of a quoted"));
        assert_eq!(next().unwrap().unwrap().len(), 2);
        assert!(next().unwrap().unwrap_err().starts_with("line 6, column 3: the quote opened"));
        assert!(next().is_none());
    }
}
