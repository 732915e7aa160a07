//! Secrets that a text shows by its form: tokens by their makers' marks, passwords in URLs, values
//! whose names stand beside them (JSON, forms, connection strings, the code of a WiFi label).
//!
//! Works on bytes, so that a text cut short or in the slack of a page is judged too.

use super::name;

/// Marks at a token's beginning and how many characters of a token follow at least.
const TOKEN_MARKS: [(&str, usize); 24] = [
    ("ghp_", 20),
    ("gho_", 20),
    ("ghu_", 20),
    ("ghs_", 20),
    ("ghr_", 20),
    ("github_pat_", 20),
    ("glpat-", 16),
    ("xoxb-", 16),
    ("xoxp-", 16),
    ("xapp-", 16),
    ("sk_live_", 16),
    ("sk_test_", 16),
    ("rk_live_", 16),
    ("sk-", 20),
    ("AKIA", 16),
    ("ASIA", 16),
    ("AIza", 30),
    ("ya29.", 20),
    ("SG.", 30),
    ("hf_", 20),
    ("npm_", 20),
    ("dop_v1_", 20),
    ("shpat_", 20),
    ("AGE-SECRET-KEY-", 20),
];
/// Words after which a credential of HTTP follows (RFC 7617, RFC 6750).
const HTTP_SCHEMES: [&str; 2] = ["Bearer ", "Basic "];
const HTTP_CREDENTIAL_MIN: usize = 12;
/// A label's code for joining a network: `WIFI:S:name;T:WPA;P:password;;`.
const WIFI_CODE: &[u8] = b"WIFI:";

/// Where a token lies in the text.
pub(super) fn find_token(text: &[u8]) -> Option<usize> {
    let token = words(text).find(|(_, word)| is_json_web_token(word) || has_mark(word));
    token.map(|(at, _)| at).or_else(|| find_http_credential(text))
}

/// Runs of the characters that tokens are made of, with their places.
fn words(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    const SHORTEST: usize = 16;
    let mut at = 0;
    let words = text.split(|byte| !is_of_token(byte)).map(move |word| {
        let start = at;
        at += word.len() + 1;
        (start, word)
    });
    words.filter(|(_, word)| word.len() >= SHORTEST)
}

fn is_of_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.+/=".contains(byte)
}

/// Three parts in base64url, the first of which is a JSON object (RFC 7519).
fn is_json_web_token(word: &[u8]) -> bool {
    const OBJECT: &[u8] = b"eyJ";
    let mut parts = word.split(|byte| *byte == b'.');
    let header = parts.next().is_some_and(|part| part.starts_with(OBJECT) && part.len() >= 12);
    header && parts.next().is_some_and(|part| part.starts_with(OBJECT) && part.len() >= 4)
}

fn has_mark(word: &[u8]) -> bool {
    TOKEN_MARKS.iter().any(|(mark, rest)| {
        let after = word.strip_prefix(mark.as_bytes());
        after.is_some_and(|after| after.len() >= *rest)
    })
}

fn find_http_credential(text: &[u8]) -> Option<usize> {
    let places = HTTP_SCHEMES.iter().filter_map(|scheme| {
        find_all(text, scheme.as_bytes()).find(|at| {
            let credential = &text[at + scheme.len()..];
            let length = credential.iter().take_while(|byte| is_of_token(byte)).count();
            length >= HTTP_CREDENTIAL_MIN
        })
    });
    places.min()
}

/// Where a URL has a password in it: `scheme://user:password@host`.
pub(super) fn find_url_password(text: &[u8]) -> Option<usize> {
    find_all(text, b"://").find(|at| {
        let rest = &text[at + 3..];
        let ends = |byte: &u8| b"/?#\"' ".contains(byte) || byte.is_ascii_control();
        let authority = rest.split(ends).next().unwrap_or_default();
        let credentials = authority.iter().rposition(|byte| *byte == b'@');
        credentials.is_some_and(|at| authority[..at].contains(&b':'))
    })
}

/// Where a value stands behind a name that tells a secret: `"password": "…"`, `token=…`,
/// `SharedAccessKey=…`, `psk: …`, the `P:` of a WiFi label.
pub(super) fn find_named_secret(text: &[u8]) -> Option<usize> {
    let label =
        find_all(text, WIFI_CODE).find(|at| find_all(&text[*at..], b";P:").next().is_some());
    let separators = text.iter().enumerate().filter(|(_, byte)| [b':', b'='].contains(byte));
    label.or_else(|| {
        separators.map(|(at, _)| at).find(|at| {
            let has_value = has_value(&text[at + 1..]);
            has_value && name_before(&text[..*at]).is_some_and(name::tells_member)
        })
    })
}

/// The name that ends where a separator stands, without quotes and backslashes.
fn name_before(text: &[u8]) -> Option<&str> {
    const LONGEST: usize = 64;
    let is_around = |byte: &u8| b"\"'\\ \t".contains(byte);
    let end = text.iter().rposition(|byte| !is_around(byte))? + 1;
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let start = text[..end].iter().rposition(|byte| !is_of_name(byte)).map_or(0, |at| at + 1);
    let name = &text[start..end];
    (1..=LONGEST).contains(&name.len()).then(|| std::str::from_utf8(name).ok())?
}

/// Whether anything is said: an empty text, a bracket, `null` and a truth value are no secret.
fn has_value(rest: &[u8]) -> bool {
    const EMPTY: [&[u8]; 3] = [b"null", b"true", b"false"];
    let is_before = |byte: &u8| b"\"'\\ \t".contains(byte);
    let start = rest.iter().position(|byte| !is_before(byte)).unwrap_or(rest.len());
    let is_of_value = |byte: &u8| byte.is_ascii_graphic() && !b",;&\"'\\}]{[:".contains(byte);
    let value = &rest[start..];
    let length = value.iter().position(|byte| !is_of_value(byte)).unwrap_or(value.len());
    length > 0 && !EMPTY.contains(&&value[..length]) && is_quoted_once(&rest[..start])
}

/// `""` before a value is an empty text with something else behind it.
fn is_quoted_once(before: &[u8]) -> bool {
    before.iter().filter(|byte| **byte == b'"').count() < 2
}

fn find_all<'t>(text: &'t [u8], wanted: &'t [u8]) -> impl Iterator<Item = usize> + 't {
    let windows = text.windows(wanted.len()).enumerate();
    windows.filter(move |(_, window)| *window == wanted).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_told_by_their_form() {
        for text in [
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1bml0In0.c2lnbmF0dXJl",
            "x eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1bml0In0.",
            "Bearer 0123456789abcdef",
            "Authorization: Basic dXNlcjpwYXNzd29yZA==",
            "ghp_0123456789abcdefghij0123456789abcdef",
            "AKIA0123456789ABCDEF",
            "xoxb-0123456789-0123456789",
        ] {
            assert!(find_token(text.as_bytes()).is_some(), "{text}");
        }
        for text in [
            "eyJhbGci",
            "Bearer of bad news",
            "https://broker.example.test/path",
            "skating-on-thin-ice",
            "AIzawa",
            "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            "",
        ] {
            assert!(find_token(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_told() {
        for text in [
            "mqtts://unit:hunter2@broker.example.test:8883/x",
            "{\"url\":\"mqtt://unit:hunter2@broker.example.test\"}",
            "see mqtts://:p@h",
        ] {
            assert!(find_url_password(text.as_bytes()).is_some(), "{text}");
        }
        for text in [
            "mqtts://broker.example.test:8883/a@b:c",
            "mqtts://unit@broker.example.test",
            "mqtts://broker.example.test:8883?to=a@b",
            "://",
        ] {
            assert!(find_url_password(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn a_value_beside_its_name_is_told() {
        for text in [
            r#"{"ssid":"net","password":"Tulip-Ladder-77"}"#,
            r#"{"wifi": {"psk" : 12345678}}"#,
            r#"{"wifiPassword":"x","n":1}"#,
            r#"{\"token\":\"abc\"}"#,
            r#"rd":"x","mqtt_pass": "cut sho"#,
            "HostName=hub.example.test;DeviceId=u;SharedAccessKey=c2VjcmV0",
            "https://api.example.test/v1?id=7&api_key=0123",
            "ssid: net\npassphrase: Tulip",
            "WIFI:S:net;T:WPA;P:Tulip-Ladder-77;;",
        ] {
            assert!(find_named_secret(text.as_bytes()).is_some(), "{text}");
        }
        for text in [
            r#"{"ssid":"net","channel":5}"#,
            r#"{"password":"","ssid":"net"}"#,
            r#"{"password":null,"has_password":true}"#,
            r#"{"password":""}"#,
            "mqtts://broker.example.test:8883",
            "2026-11-28T06:22:56Z",
            "WIFI:S:net;T:nopass;;",
            "=:=",
        ] {
            assert!(find_named_secret(text.as_bytes()).is_none(), "{text}");
        }
    }
}
