//! Text with the names of values in it, such as `VAULT-{number:05}`.
//!
//! A symbol is a brace pair that holds a name of lowercase letters, digits, `_` and `.`, with an
//! optional zero-padded width: `{device_id}`, `{unit.mac}`, `{number:05}`. Every other brace is
//! text, so that a JSON payload such as `{"id":"{nonce}"}` stays readable. Doubled braces round a
//! symbol mean the text itself: `{{nonce}}` is `{nonce}`. A brace pair that holds one word which is
//! no symbol, such as `{Number}` or `{number:5}`, is refused: it is a slip of the pen, not text.
//!
//! Must not know where values come from; it parses and it renders.

use std::{fmt, str::FromStr};

/// The largest width that a symbol may be padded to.
pub const WIDEST: usize = 64;

/// Literal text and symbols, in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Template(Vec<Piece>);

/// A piece of a template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece {
    /// As it stands.
    Text(String),
    /// A value by name, padded with zeros to `width` characters.
    Symbol {
        /// Name of the value, such as `device_id` or `unit.mac`.
        name: String,
        /// Smallest width; 0 when none is given.
        width: usize,
    },
}

/// A text is no template.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TemplateError {
    /// One word in braces that is not written as a symbol.
    #[error(
        "\"{found}\" is not a symbol: expected a lowercase name such as {{device_id}}, or a zero-padded width such as {{number:05}}"
    )]
    NoSymbol {
        /// The word with its braces.
        found: String,
    },
    /// A width that no value needs.
    #[error("\"{found}\" asks for more than {WIDEST} characters")]
    TooWide {
        /// The symbol with its braces.
        found: String,
    },
}

/// A symbol of a template has no value yet.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the value \"{name}\" is not known at this point")]
pub struct UnboundSymbol {
    /// Name of the value.
    pub name: String,
}

impl Template {
    /// The pieces, in order.
    pub fn parts(&self) -> &[Piece] {
        &self.0
    }

    /// The names of the values in it, in order; one that is used twice comes twice.
    pub fn symbols(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Piece::Symbol { name, .. } => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The text, when there is no symbol in it.
    pub fn literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The value's name, when the template is that one symbol and nothing else.
    pub fn lone_symbol(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Piece::Symbol { name, width: 0 }] => Some(name),
            _ => None,
        }
    }

    /// Puts values in place of their names.
    ///
    /// # Errors
    /// The first symbol for which `value` has nothing.
    pub fn render<'a>(
        &self,
        mut value: impl FnMut(&str) -> Option<&'a str>,
    ) -> Result<String, UnboundSymbol> {
        let mut rendered = String::new();
        for part in &self.0 {
            match part {
                Piece::Text(text) => rendered.push_str(text),
                Piece::Symbol { name, width } => {
                    let text = value(name).ok_or_else(|| UnboundSymbol { name: name.clone() })?;
                    let missing = width.saturating_sub(text.chars().count());
                    rendered.extend(std::iter::repeat_n('0', missing));
                    rendered.push_str(text);
                }
            }
        }
        Ok(rendered)
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(start) = rest.find('{') {
            literal.push_str(&rest[..start]);
            rest = &rest[start..];
            if let Some(escaped) = doubled_symbol(rest) {
                literal.push_str(&escaped[1..escaped.len() - 1]);
                rest = &rest[escaped.len()..];
            } else if let Some(word) = braced_word(rest) {
                let symbol = parse_symbol(word)?;
                if !literal.is_empty() {
                    parts.push(Piece::Text(std::mem::take(&mut literal)));
                }
                parts.push(symbol);
                rest = &rest[word.len()..];
            } else {
                literal.push('{');
                rest = &rest[1..];
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Piece::Text(literal));
        }
        Ok(Self(parts))
    }
}

/// A leading `{{name}}`, with its four braces.
fn doubled_symbol(text: &str) -> Option<&str> {
    let word = braced_word(text.strip_prefix('{')?)?;
    let whole = text.get(..word.len() + 2)?;
    (whole.ends_with("}}") && parse_symbol(word).is_ok()).then_some(whole)
}

/// A leading brace pair that holds one word, with its braces.
fn braced_word(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('{')?;
    let end = inside
        .find(|c: char| !matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '.' | ':' | '-'))?;
    (end > 0 && inside[end..].starts_with('}')).then(|| &text[..end + 2])
}

fn parse_symbol(braced: &str) -> Result<Piece, TemplateError> {
    let word = &braced[1..braced.len() - 1];
    let (name, width) = word.split_once(':').unwrap_or((word, "00"));
    let digits = width.strip_prefix('0').filter(|digits| !digits.is_empty());
    let Some(digits) = digits.filter(|_| is_name(name)) else {
        return Err(TemplateError::NoSymbol { found: braced.to_owned() });
    };
    match digits.parse() {
        Ok(width) if width <= WIDEST => Ok(Piece::Symbol { name: name.to_owned(), width }),
        Ok(_) => Err(TemplateError::TooWide { found: braced.to_owned() }),
        Err(_) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            Err(TemplateError::TooWide { found: braced.to_owned() })
        }
        Err(_) => Err(TemplateError::NoSymbol { found: braced.to_owned() }),
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.'))
}

impl fmt::Display for Template {
    /// As it would stand in a profile; parses back to the same template.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                Piece::Text(text) => write_escaped(f, text)?,
                Piece::Symbol { name, width: 0 } => write!(f, "{{{name}}}")?,
                Piece::Symbol { name, width } => write!(f, "{{{name}:0{width}}}")?,
            }
        }
        Ok(())
    }
}

/// Doubles the braces of whatever would read as a symbol.
fn write_escaped(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        f.write_str(&rest[..start])?;
        rest = &rest[start..];
        if let Some(word) = braced_word(rest) {
            write!(f, "{{{word}}}")?;
            rest = &rest[word.len()..];
        } else {
            f.write_str("{")?;
            rest = &rest[1..];
        }
    }
    f.write_str(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(name: &str, width: usize) -> Piece {
        Piece::Symbol { name: name.to_owned(), width }
    }

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    #[test]
    fn names_and_widths_are_symbols_and_other_braces_are_text() {
        for (source, parts) in [
            ("VAULT-{number:05}", vec![text("VAULT-"), symbol("number", 5)]),
            ("{unit.mac}", vec![symbol("unit.mac", 0)]),
            (
                r#"{"id":"{nonce}","n":{number}}"#,
                vec![
                    text(r#"{"id":""#),
                    symbol("nonce", 0),
                    text(r#"","n":"#),
                    symbol("number", 0),
                    text("}"),
                ],
            ),
            ("{{number:05}}", vec![text("{number:05}")]),
            ("{}{ {a b}", vec![text("{}{ {a b}")]),
            ("", vec![]),
        ] {
            let template: Template = source.parse().expect(source);
            assert_eq!(template.parts(), parts, "{source}");
            assert_eq!(template.to_string().parse(), Ok(template), "{source}");
        }
    }

    #[test]
    fn a_word_in_braces_that_is_no_symbol_is_refused() {
        for source in
            ["{Number}", "{number:5}", "{number:}", "{number:0}", "{5}", "{a-b}", "{a:0x}"]
        {
            let refused = source.parse::<Template>();
            assert!(
                matches!(refused, Err(TemplateError::NoSymbol { .. })),
                "{source}: {refused:?}"
            );
        }
        for source in ["{a:065}", "{a:099999999999999999999999}"] {
            let refused = source.parse::<Template>();
            assert!(matches!(refused, Err(TemplateError::TooWide { .. })), "{source}: {refused:?}");
        }
    }

    #[test]
    fn rendering_pads_with_zeros_and_names_what_is_missing() {
        let template: Template = "VAULT-{number:05}".parse().expect("a template");
        assert_eq!(template.render(|_| Some("7")), Ok("VAULT-00007".to_owned()));
        assert_eq!(template.render(|_| Some("123456")), Ok("VAULT-123456".to_owned()));
        assert_eq!(template.render(|_| None), Err(UnboundSymbol { name: "number".to_owned() }));
    }
}
