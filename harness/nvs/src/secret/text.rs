//! Secrets that a text shows by its form: tokens by their makers' marks, passwords in URLs, values
//! whose names stand beside them (JSON, forms, connection strings, the code of a WiFi label).
//!
//! Works on bytes, so that a text cut short or in the slack of a page is judged too.

use super::name;

/// Marks at a token's beginning and how many characters of a token follow at least.
const TOKEN_MARKS: [(&str, usize); 28] = [
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
    ("GOCSPX-", 16),
    ("hvs.", 20),
    ("whsec_", 16),
    ("glsa_", 20),
];
/// Words after which a credential of HTTP follows (RFC 7617, RFC 6750).
const HTTP_SCHEMES: [&str; 4] = ["Bearer ", "Basic ", "bearer ", "basic "];
const HTTP_CREDENTIAL_MIN: usize = 12;
/// A label's code for joining a network: `WIFI:S:name;T:WPA;P:password;;`.
const WIFI_CODES: [&[u8]; 2] = [b"WIFI:", b"wifi:"];
/// ESP-AT's command to join, which has the password in it.
const JOIN_COMMAND: &[u8] = b"CWJAP";

/// Where a token lies in the text.
pub(super) fn find_token(text: &[u8]) -> Option<usize> {
    let is_start =
        |at: &usize| at.checked_sub(1).is_none_or(|before| !text[before].is_ascii_alphanumeric());
    let starts = (0..text.len()).filter(|at| text[*at].is_ascii_alphabetic()).filter(is_start);
    let mut tokens = starts.filter(|at| is_json_web_token(&text[*at..]) || has_mark(&text[*at..]));
    tokens.next().or_else(|| find_http_credential(text))
}

/// How many bytes from the start a token may be made of: base64, base64url, parts and paths.
fn token_length(text: &[u8]) -> usize {
    text.iter().take_while(|byte| is_of_token(byte)).count()
}

fn is_of_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.+/=".contains(byte)
}

/// Three parts in base64url, the first of which is a JSON object (RFC 7519).
fn is_json_web_token(text: &[u8]) -> bool {
    const OBJECT: &[u8] = b"eyJ";
    if !text.starts_with(OBJECT) {
        return false;
    }
    let mut parts = text[..token_length(text)].split(|byte| *byte == b'.');
    let header = parts.next().is_some_and(|part| part.len() >= 12);
    header && parts.next().is_some_and(|part| part.starts_with(OBJECT) && part.len() >= 4)
}

fn has_mark(text: &[u8]) -> bool {
    TOKEN_MARKS.iter().any(|(mark, rest)| {
        text.strip_prefix(mark.as_bytes()).is_some_and(|after| {
            let is_of_it = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
            after.iter().take_while(is_of_it).count() >= *rest
        })
    })
}

fn find_http_credential(text: &[u8]) -> Option<usize> {
    let places = HTTP_SCHEMES.iter().filter_map(|scheme| {
        find_all(text, scheme.as_bytes()).find(|at| {
            let credential = &text[at + scheme.len()..];
            token_length(credential) >= HTTP_CREDENTIAL_MIN
        })
    });
    places.min()
}

/// Where a URL has a password in it: `scheme://user:password@host`.
pub(super) fn find_url_password(text: &[u8]) -> Option<usize> {
    find_all(text, b"://").find(|at| {
        let rest = &text[at + 3..];
        let ends = |byte: &u8| b"\"' ".contains(byte) || byte.is_ascii_control();
        let url = rest.iter().take(LONGEST_URL).position(ends);
        let url = &rest[..url.unwrap_or(rest.len().min(LONGEST_URL))];
        let authority = url.split(|byte| b"/?#".contains(byte)).next().unwrap_or_default();
        // A slash in a password ends the authority early: what stands behind the colon is no port.
        let is_no_port = |at: usize| {
            let behind = &authority[at + 1..];
            behind.is_empty() || !behind.iter().all(u8::is_ascii_digit)
        };
        match authority.iter().rposition(|byte| *byte == b'@') {
            Some(end) => authority[..end].contains(&b':'),
            None => {
                let colon = authority.iter().position(|byte| *byte == b':');
                let is_address = authority.starts_with(b"[");
                url.contains(&b'@') && !is_address && colon.is_some_and(is_no_port)
            }
        }
    })
}

/// No URL that a firmware keeps is longer.
const LONGEST_URL: usize = 2048;

/// Where a value stands behind a name that tells a secret: `"password": "…"`, `token=…`,
/// `SharedAccessKey=…`, `psk: …`, the `P:` of a WiFi label.
pub(super) fn find_named_secret(text: &[u8]) -> Option<usize> {
    let label = WIFI_CODES.iter().find_map(|code| {
        let at = find_all(text, code).next()?;
        let has = |mark: &[u8]| find_all(&text[at..], mark).next().is_some();
        (has(b";P:") || has(b":P:")).then_some(at)
    });
    let command = find_all(text, JOIN_COMMAND).find(|at| {
        let rest = &text[*at..text.len().min(at + 160)];
        find_all(rest, b"\",\"").next().is_some()
    });
    let is_separator = |byte: u8| [b':', b'=', b'>'].contains(&byte);
    let separators = text.iter().enumerate().filter(|(_, byte)| is_separator(**byte));
    label.or(command).or_else(|| {
        separators.map(|(at, _)| at).find(|at| {
            let name = name_before(&text[..*at]);
            name.is_some_and(|name| is_named_secret(name, &text[at + 1..]))
        })
    })
}

fn is_named_secret(name: &str, rest: &[u8]) -> bool {
    if name::tells_member(name) {
        return has_value(rest);
    }
    // A PIN is a number to be typed; the pin of a chip has two digits.
    let digits = rest.iter().skip_while(|byte| b" \t\"'\\".contains(byte));
    let length = digits.take(9).take_while(|byte| byte.is_ascii_digit()).count();
    name.eq_ignore_ascii_case("pin") && (4..=8).contains(&length)
}

/// The name that ends where a separator stands, without quotes and backslashes.
fn name_before(text: &[u8]) -> Option<&str> {
    const LONGEST: usize = 64;
    // Quotes and spaces beside a name are few; a name is not looked for beyond them.
    let text = &text[text.len().saturating_sub(2 * LONGEST)..];
    let is_around = |byte: &u8| b"\"'\\ \t".contains(byte);
    let end = text.iter().rposition(|byte| !is_around(byte))? + 1;
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let start = text[..end].iter().rposition(|byte| !is_of_name(byte)).map_or(0, |at| at + 1);
    let name = &text[start..end];
    (1..=LONGEST).contains(&name.len()).then(|| std::str::from_utf8(name).ok())?
}

/// Whether anything is said: an empty text, an opening brace, `null` and a truth value are no secret.
fn has_value(rest: &[u8]) -> bool {
    const EMPTY: [&[u8]; 3] = [b"null", b"true", b"false"];
    let is_before = |byte: &u8| b"\\ \t\r\n[".contains(byte);
    let Some(start) = rest.iter().position(|byte| !is_before(byte)) else { return false };
    let value = &rest[start..];
    if let Some(quote @ (b'"' | b'\'')) = value.first() {
        // Whatever stands between the quotes; a text in a text has a backslash before each.
        let is_within_text = rest[..start].last() == Some(&b'\\');
        let closing: &[u8] = if is_within_text { &[b'\\', *quote] } else { &[*quote] };
        return value.get(1).is_some_and(|next| *next != 0) && !value[1..].starts_with(closing);
    }
    let is_of_value = |byte: &u8| byte.is_ascii_graphic() || *byte >= 0x80;
    let ends = |byte: &u8| !is_of_value(byte) || b",;&}]{<".contains(byte);
    let length = value.iter().take(32).position(ends).unwrap_or(value.len().min(32));
    // Few digits are a count of what passed or a flag.
    let is_count = length < 4 && value[..length].iter().all(u8::is_ascii_digit);
    !is_count && !EMPTY.contains(&&value[..length])
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
            "t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1bml0In0.c2ln",
            "https://hub.example.test/?k=ghp_0123456789abcdefghij0123456789abcdef",
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
            "mqtts://unit:pa/ss?w#d@broker.example.test",
        ] {
            assert!(find_url_password(text.as_bytes()).is_some(), "{text}");
        }
        for text in [
            "mqtts://broker.example.test:8883/a@b:c",
            "mqtts://unit@broker.example.test",
            "mqtts://broker.example.test:8883?to=a@b",
            "mqtts://[fd00::1]:8883/a@b",
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
            r#"{"password":"&Tulip-Ladder"}"#,
            r#"{"password":"[x]"}"#,
            r#"{"password":"\"abc"}"#,
            "{\"password\":\"Ärger99\"}",
            r#"{"passwords":["Tulip"]}"#,
            "password=Ärger99",
            "<password>Tulip</password>",
            r#"{"psk":
  "Tulip"}"#,
            r#"{"pin":482913}"#,
            r#"AT+CWJAP="labnet","Tulip""#,
            "WIFI:P:Tulip-Ladder-77;S:net;;",
            "WIFI:S:net;T:WPA;P:Tulip-Ladder-77;;",
        ] {
            assert!(find_named_secret(text.as_bytes()).is_some(), "{text}");
        }
        for text in [
            r#"{"ssid":"net","channel":5}"#,
            r#"{"password":"","ssid":"net"}"#,
            r#"{"password":null,"has_password":true}"#,
            r#"{"password":""}"#,
            r#"{\"password\":\"\"}"#,
            "mqtts://broker.example.test:8883",
            "2026-11-28T06:22:56Z",
            "WIFI:S:net;T:nopass;;",
            "pass: 12 of 14",
            r#"{"self_test":"pass","pass":3,"pin":13}"#,
            "<password></password>",
            "=:=",
        ] {
            assert!(find_named_secret(text.as_bytes()).is_none(), "{text}");
        }
    }
}
