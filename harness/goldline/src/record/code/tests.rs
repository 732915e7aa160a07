use std::collections::BTreeSet;

use rstest::rstest;

use super::*;

/// Everything that is said of a code.
fn texts(code: Code) -> Vec<&'static str> {
    let mut texts = vec![code.meaning(), code.action(), code.operator(), code.engineer()];
    texts.extend(code.causes());
    texts
}

#[test]
fn a_code_reads_back_from_its_text() {
    for code in Code::all() {
        let text = serde_json::to_string(&code).expect("a code is a string");
        assert_eq!(text, format!("\"{code:?}\""));
        assert_eq!(serde_json::from_str::<Code>(&text).ok(), Some(code));
    }
    let unknown = serde_json::from_str::<Code>("\"wifi.no_join\"").expect_err("no code");
    assert!(unknown.to_string().contains("\"wifi.no_join\" is no diagnosis code"), "{unknown}");
}

#[test]
fn no_text_stands_for_two_codes() {
    let all: Vec<&str> = Code::all().map(Code::as_str).collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
}

#[test]
fn every_code_says_what_is_seen_why_and_what_to_do() {
    for code in Code::all() {
        assert!(code.meaning().ends_with('.'), "{code:?}");
        assert!((2..=5).contains(&code.causes().len()), "{code:?}");
        for text in texts(code) {
            assert!(text.len() > 15 && text.trim() == text, "{code:?}: \"{text}\"");
        }
        // A clause goes on where its reader is: only the symptom is a sentence of its own.
        for text in texts(code).into_iter().skip(1) {
            assert!(!text.ends_with('.'), "{code:?}: \"{text}\"");
        }
        let causes: BTreeSet<_> = code.causes().iter().collect();
        assert_eq!(causes.len(), code.causes().len(), "{code:?}");
    }
}

/// What belongs to one case sends the reader of another one astray.
#[rstest]
#[case("dialout", &["port.unusable"])]
#[case("/dev/serial/by-id", &["port.unusable"])]
#[case("hold BOOT", &["port.no_answer"])]
#[case("?baud=", &["port.timeout", "port.garbled"])]
#[case("?reset=", &["port.no_answer"])]
#[case("free the address", &[])]
#[case("goldline ca test", &["ca.unreachable", "testbed.ca"])]
#[case("--replaces", &["identity.taken"])]
#[case("goldline golden accept", &["nvs.golden_differs"])]
#[case("admin token", &["config.refused"])]
#[case("backtrace", &["boot.loop", "boot.unexpected_reset"])]
#[case("dashboard", &["alert.not_confirmed"])]
#[case("antenna", &["wifi.access_point_not_found", "wifi.out_of_limits", "portal.unreachable"])]
fn advice_names_no_tool_of_another_case(#[case] words: &str, #[case] codes: &[&str]) {
    let named = Code::all().filter(|code| texts(*code).iter().any(|text| text.contains(words)));
    let named: BTreeSet<&str> = named.map(Code::as_str).collect();
    assert_eq!(named, codes.iter().copied().collect());
}
