//! Where a private key is that never leaves its token: a `pkcs11:` URI (RFC 7512).
//!
//! `pkcs11:token=Maker;object=issuing?module-path=/usr/lib/softhsm/libsofthsm2.so`. A PIN never stands in it. Must not
//! open anything.

use std::{fmt, path::PathBuf, str::FromStr};

const SCHEME: &str = "pkcs11:";
const EXPECTED: &str = "token, serial, model, manufacturer, slot-id, object, id and type=private before the ?, module-path behind it";

/// One private key on one token, and the module that speaks to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenKey {
    /// The PKCS#11 module.
    pub module: PathBuf,
    /// What the token must be: at least one of these.
    pub token: TokenTerms,
    /// Label of the key (`object`).
    pub label: Option<String>,
    /// Its `CKA_ID`.
    pub id: Option<Vec<u8>>,
}

/// What a token must be, as far as it is said.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TokenTerms {
    /// Its label (`token`).
    pub label: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// Its maker.
    pub manufacturer: Option<String>,
    /// The slot that it is in.
    pub slot: Option<u64>,
}

/// A text is no such URI. No message repeats a value: a PIN may stand there.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum TokenKeyError {
    #[error("it does not begin with pkcs11:")]
    Scheme,
    #[error("its attribute `{name}` is not served, or has no value: expected {EXPECTED}")]
    Attribute { name: String },
    #[error("its attribute `{name}` stands twice")]
    Twice { name: String },
    #[error("the value of its attribute `{name}` is {found}: expected {expected}")]
    Value { name: &'static str, found: &'static str, expected: &'static str },
    #[error(
        "it holds a PIN (`{name}`), which never stands in the station file: say where it is with `pin`"
    )]
    Pin { name: &'static str },
    #[error(
        "it names no module: expected ?module-path= with the absolute path of the token's PKCS#11 module"
    )]
    NoModule,
    #[error("it names no token: expected token=LABEL, serial=NUMBER or slot-id=NUMBER")]
    NoToken,
    #[error("it names no key: expected object=LABEL or id=BYTES")]
    NoKey,
}

impl TokenKeyError {
    /// Of what stands where a name is expected. Without a value behind it, it may be a PIN after a slip of the pen.
    fn attribute(name: &str, value: Option<&str>) -> Self {
        let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        let is_name = is_name && value.is_some();
        Self::Attribute { name: if is_name { name.to_owned() } else { "…".to_owned() } }
    }
}

impl FromStr for TokenKey {
    type Err = TokenKeyError;

    fn from_str(text: &str) -> Result<Self, TokenKeyError> {
        let rest = text.strip_prefix(SCHEME).ok_or(TokenKeyError::Scheme)?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut token = TokenTerms::default();
        let (mut module, mut label, mut id) = (None, None, None);
        for (name, value) in attributes(path, ';').chain(attributes(query, '&')) {
            let (Some(value), false) = (value, value.is_some_and(str::is_empty)) else {
                return Err(TokenKeyError::attribute(name, value));
            };
            let text = |name| utf8(name, value);
            match name {
                "token" => once(name, &mut token.label, text("token")?)?,
                "serial" => once(name, &mut token.serial, text("serial")?)?,
                "model" => once(name, &mut token.model, text("model")?)?,
                "manufacturer" => once(name, &mut token.manufacturer, text("manufacturer")?)?,
                "slot-id" => {
                    let refused = TokenKeyError::Value {
                        name: "slot-id",
                        found: "no number",
                        expected: "one in decimal digits",
                    };
                    once(name, &mut token.slot, value.parse().map_err(|_| refused)?)?;
                }
                "object" => once(name, &mut label, text("object")?)?,
                "id" => once(name, &mut id, bytes("id", value)?)?,
                "type" if value == "private" => {}
                "type" => {
                    let (name, found) = ("type", "another kind of object");
                    return Err(TokenKeyError::Value { name, found, expected: "private" });
                }
                "module-path" => once(name, &mut module, PathBuf::from(text("module-path")?))?,
                "pin-value" => return Err(TokenKeyError::Pin { name: "pin-value" }),
                "pin-source" => return Err(TokenKeyError::Pin { name: "pin-source" }),
                _ => return Err(TokenKeyError::attribute(name, Some(value))),
            }
        }
        let module = module.filter(|path| path.is_absolute()).ok_or(TokenKeyError::NoModule)?;
        if token == TokenTerms::default() {
            return Err(TokenKeyError::NoToken);
        }
        if label.is_none() && id.is_none() {
            return Err(TokenKeyError::NoKey);
        }
        Ok(Self { module, token, label, id })
    }
}

/// Names with their values; one without `=` has none.
fn attributes(text: &str, between: char) -> impl Iterator<Item = (&str, Option<&str>)> {
    let each = text.split(between).filter(|piece| !piece.is_empty());
    each.map(|piece| match piece.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (piece, None),
    })
}

fn once<T>(name: &str, place: &mut Option<T>, value: T) -> Result<(), TokenKeyError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(TokenKeyError::Twice { name: name.to_owned() }),
    }
}

fn utf8(name: &'static str, value: &str) -> Result<String, TokenKeyError> {
    let (found, expected) = ("no text", "UTF-8, each other byte as % and two hexadecimal digits");
    String::from_utf8(bytes(name, value)?).map_err(|_| TokenKeyError::Value {
        name,
        found,
        expected,
    })
}

/// `%` and two hexadecimal digits are a byte.
fn bytes(name: &'static str, value: &str) -> Result<Vec<u8>, TokenKeyError> {
    let (found, expected) = ("cut off behind a %", "two hexadecimal digits there");
    let refused = || TokenKeyError::Value { name, found, expected };
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err(refused()) };
        bytes.push((high * 16 + low) as u8);
    }
    Ok(bytes)
}

impl fmt::Display for TokenTerms {
    /// As the URI has it, for sentences.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { label, serial, model, manufacturer, slot } = self;
        let slot = slot.map(|slot| slot.to_string());
        let named = [
            ("token", label),
            ("serial", serial),
            ("model", model),
            ("manufacturer", manufacturer),
            ("slot-id", &slot),
        ];
        let said =
            named.iter().filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)));
        f.write_str(&said.collect::<Vec<_>>().join(";"))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

    #[test]
    fn the_parts_of_a_uri_are_told_apart_and_decoded() {
        let text = format!(
            "pkcs11:token=The%20maker%27s;serial=4d;id=%01%fF;object=issuing;type=private?module-path={MODULE}"
        );
        let key: TokenKey = text.parse().expect("a URI");
        assert_eq!(key.module, PathBuf::from(MODULE));
        assert_eq!(key.token.label.as_deref(), Some("The maker's"));
        assert_eq!(key.token.serial.as_deref(), Some("4d"));
        assert_eq!(key.label.as_deref(), Some("issuing"));
        assert_eq!(key.id.as_deref(), Some([1, 0xFF].as_slice()));
        assert_eq!(key.token.to_string(), "token=The maker's;serial=4d");
    }

    #[rstest]
    #[case::scheme("pkcs12:token=a;object=b?module-path=/m", "does not begin with pkcs11:")]
    #[case::no_module("pkcs11:token=a;object=b", "names no module")]
    #[case::a_relative_module("pkcs11:token=a;object=b?module-path=m.so", "names no module")]
    #[case::no_token("pkcs11:object=b?module-path=/m", "names no token")]
    #[case::no_key("pkcs11:token=a?module-path=/m", "names no key")]
    #[case::public("pkcs11:token=a;object=b;type=cert?module-path=/m", "expected private")]
    #[case::twice("pkcs11:token=a;token=c;object=b?module-path=/m", "`token` stands twice")]
    #[case::cut_off("pkcs11:token=a%2;object=b?module-path=/m", "cut off behind a %")]
    #[case::no_text("pkcs11:token=%ff;object=b?module-path=/m", "`token` is no text")]
    #[case::unknown("pkcs11:token=a;objekt=b?module-path=/m", "`objekt` is not served")]
    #[case::empty(
        "pkcs11:token=;object=b?module-path=/m",
        "`token` is not served, or has no value"
    )]
    #[case::a_pin(
        "pkcs11:token=a;object=b?module-path=/m&pin-value=Marker",
        "holds a PIN (`pin-value`)"
    )]
    #[case::a_pin_with_a_slip("pkcs11:token=a;object=b?module-path=/m&pin-value:Marker", "`…`")]
    #[case::a_bare_pin("pkcs11:token=a;object=b;Marker?module-path=/m", "`…`")]
    #[case::a_slot("pkcs11:slot-id=one;object=b?module-path=/m", "`slot-id` is no number")]
    fn what_is_none_is_said_without_its_values(#[case] text: &str, #[case] words: &str) {
        let said = text.parse::<TokenKey>().expect_err("it is none").to_string();
        assert!(said.contains(words), "{said}");
        assert!(!said.contains("Marker"), "{said}");
    }
}
