//! What a service said, fit to be shown: one line, bounded, without control characters and secrets.

use crate::secret::Secret;

/// Longest sentence that is shown, in characters.
const LONGEST: usize = 200;
const BLACKED_OUT: &str = "[secret]";

/// The first line of a text that is not blank, without these secrets in any spelling they travel in.
pub(super) fn first_line(text: &str, secrets: &[&Secret]) -> String {
    let text = blacked_out(text.to_owned(), secrets);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

fn blacked_out(mut text: String, secrets: &[&Secret]) -> String {
    let mut spellings: Vec<String> = secrets.iter().flat_map(|secret| spellings(secret)).collect();
    // A secret that holds another one goes first, or its rest would stay.
    spellings.sort_by_key(|spelling| std::cmp::Reverse(spelling.len()));
    for spelling in spellings.iter().filter(|spelling| !spelling.is_empty()) {
        text = text.replace(spelling, BLACKED_OUT);
    }
    text
}

/// As it is, in either case of hexadecimal digits, within JSON, within a form, and within HTML.
fn spellings(secret: &Secret) -> Vec<String> {
    let plain = secret.expose();
    let json = serde_json::to_string(plain).expect("a text becomes JSON");
    let form: String = form_urlencoded::byte_serialize(plain.as_bytes()).collect();
    let html = plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    vec![
        plain.to_owned(),
        plain.to_ascii_uppercase(),
        plain.to_ascii_lowercase(),
        json[1..json.len() - 1].to_owned(),
        form.replace('+', "%20"),
        form,
        html.replace('"', "&quot;"),
        html,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_blacked_out_in_every_spelling() {
        let secret = Secret::new("pa&ss \"wörd");
        for text in [
            "no: pa&ss \"wörd",
            r#"{"error":"pa&ss \"wörd"}"#,
            "pa%26ss+%22w%C3%B6rd",
            "pa%26ss%20%22w%C3%B6rd",
            "<p>pa&amp;ss &quot;wörd</p>",
        ] {
            let shown = first_line(text, &[&secret]);
            assert!(shown.contains(BLACKED_OUT) && !shown.contains("ss"), "{shown}");
        }
    }

    #[test]
    fn a_secret_within_another_leaves_no_rest() {
        let (short, long) = (Secret::new("abcd"), Secret::new("abcdefgh"));
        assert_eq!(first_line("key abcdefgh", &[&short, &long]), "key [secret]");
    }

    #[test]
    fn one_bounded_line_is_shown() {
        assert_eq!(first_line("\r\n  \n no\u{1b}[31m \nmore", &[]), "no[31m");
        assert_eq!(first_line(&"x".repeat(1000), &[]).len(), LONGEST);
        assert_eq!(first_line("", &[]), "");
    }
}
