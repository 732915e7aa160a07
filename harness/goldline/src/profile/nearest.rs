//! Finds the name that someone probably meant.

/// The candidate most like `found`, when it is like enough to be worth a question.
pub fn suggestion<'a>(
    found: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Below this, "did you mean" names words that only share a letter or two.
    const LIKE_ENOUGH: f64 = 0.6;
    candidates
        .into_iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(found, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LIKE_ENOUGH)
        .max_by(|one, two| one.0.total_cmp(&two.0))
        .map(|(_, candidate)| candidate)
}

/// The suggestion as the end of a message, such as `; did you mean "espvault"?`; empty without one.
pub fn did_you_mean<'a>(found: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let near = suggestion(found, candidates);
    near.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::suggestion;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let names = ["espvault", "safesignal"];
        assert_eq!(suggestion("espvalt", names), Some("espvault"));
        assert_eq!(suggestion("esp33", ["esp32", "esp32c3"]), Some("esp32"));
        assert_eq!(suggestion("thermometer", names), None);
    }
}
