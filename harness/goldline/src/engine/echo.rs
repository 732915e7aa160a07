//! The bench's own words, as a console gives them back: with one bit of the wire wrong they are no leak of
//! the unit's, and no answer. Each typed line pays for one echo; what else holds its words is the unit's.
//!
//! Pure. Must not know who types, nor what becomes of a line.

use crate::{check::plain, device::NumberedLine, secret::Secret};

/// What stands for a secret in a line that is shown.
pub(super) const MASK: &str = "********";
/// Shorter lines are told from answers only when they are whole.
const SHORTEST: usize = 4;
/// Bytes of a character, and so of marks that a broken one leaves.
const LONGEST_CHARACTER: usize = 4;

/// A line that the bench typed.
pub(super) struct Typed {
    /// Without its end.
    pub(super) line: Secret,
    /// As it may be shown.
    pub(super) shown: String,
    /// How many lines the log had before.
    pub(super) after: usize,
}

/// How a typed line came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Echo {
    /// As it was typed.
    Whole,
    /// With one bit wrong, on its way there or back.
    Damaged,
}

/// The typed line at the end of a line of the log, and what stands before it: a prompt, perhaps.
pub(super) fn at_end_of<'a>(text: &'a str, typed: &str) -> Option<(&'a str, Echo)> {
    start_of(text, typed).map(|(start, echo)| (&text[..start], echo))
}

fn start_of(text: &str, typed: &str) -> Option<(usize, Echo)> {
    let (text, typed) = (text.trim_end(), typed.trim_end());
    if text.ends_with(typed) {
        return Some((text.len() - typed.len(), Echo::Whole));
    }
    let longest = typed.len() + LONGEST_CHARACTER * char::REPLACEMENT_CHARACTER.len_utf8();
    let nearest = text.len().saturating_sub(longest);
    let starts = text.char_indices().map(|(at, _)| at).filter(|at| *at >= nearest);
    let mut starts = starts.filter(|_| typed.len() >= SHORTEST);
    Some((starts.find(|at| is_one_bit_off(&text[*at..], typed))?, Echo::Damaged))
}

/// Whether a character became the end of a line, so that the echo lies in two.
pub(super) fn is_torn(first: &str, second: &str, typed: &str) -> bool {
    let typed = typed.trim_end();
    let ends = typed.char_indices().filter(|(_, lost)| may_vanish(*lost));
    typed.len() >= SHORTEST
        && ends.into_iter().any(|(at, lost)| {
            first.ends_with(&typed[..at]) && second == &typed[at + lost.len_utf8()..]
        })
}

/// Whether one inverted bit makes the text of what was typed. Of a bit that made bytes no text, marks are
/// left; of one that made a character that nobody prints, nothing is.
fn is_one_bit_off(text: &str, typed: &str) -> bool {
    let same = |pairs: &mut dyn Iterator<Item = (char, char)>| -> usize {
        pairs.take_while(|(one, other)| one == other).map(|(one, _)| one.len_utf8()).sum()
    };
    let front = same(&mut text.chars().zip(typed.chars()));
    let (text, typed) = (&text[front..], &typed[front..]);
    let back = same(&mut text.chars().rev().zip(typed.chars().rev()));
    let (text, typed) = (&text[..text.len() - back], &typed[..typed.len() - back]);
    match (text.as_bytes(), typed.as_bytes()) {
        ([one], [other]) => (one ^ other).is_power_of_two(),
        ([], [_]) => typed.chars().all(may_vanish),
        ([], _) | (_, []) => false,
        _ => typed.chars().count() == 1 && text.chars().all(|it| it == char::REPLACEMENT_CHARACTER),
    }
}

/// Whether one inverted bit makes it a character that ends a line, or is not shown.
fn may_vanish(character: char) -> bool {
    let one_off = |unseen: u8| {
        u8::try_from(character).is_ok_and(|character| (character ^ unseen).is_power_of_two())
    };
    b"\n\r\0\x1b".iter().any(|unseen| one_off(*unseen))
}

/// Puts what may be shown in the place of each echo, and says what of each line is the unit's own.
pub(super) fn take_out(lines: &mut [NumberedLine], typed: &[Typed]) -> Vec<String> {
    let mut own: Vec<String> = lines.iter().map(|line| line.line.text.clone()).collect();
    let mut unpaid: Vec<&Typed> = typed.iter().collect();
    for index in 0..lines.len() {
        let number = lines[index].number;
        let pays = |typed: &&Typed| {
            if typed.after > number {
                return None;
            }
            find(&own, index, typed.line.expose())
        };
        let Some((payer, found)) =
            unpaid.iter().enumerate().find_map(|(at, typed)| Some((at, pays(typed)?)))
        else {
            continue;
        };
        let shown = &unpaid.remove(payer).shown;
        match found {
            Found::Inside(before, behind) => {
                lines[index].line.text = format!("{before}{shown}{behind}");
                own[index] = before + &behind;
            }
            Found::InTwo => {
                lines[index].line.text.clone_from(shown);
                lines[index + 1].line.text.clear();
                own[index].clear();
                own[index + 1].clear();
            }
        }
    }
    own
}

fn is_prompt(text: &str) -> bool {
    text.is_empty() || text.trim_end().ends_with(['>', '$', '#', ':'])
}

enum Found {
    /// What stands before the echo and behind it.
    Inside(String, String),
    /// In this line and the next.
    InTwo,
}

fn find(lines: &[String], index: usize, typed: &str) -> Option<Found> {
    let text = plain(&lines[index]);
    if let Some((start, _)) = start_of(&text, typed) {
        return Some(Found::Inside(text[..start].to_owned(), String::new()));
    }
    // Where the echo's end was lost, more follows.
    if let Some((before, behind)) = text.split_once(typed)
        && is_prompt(before)
    {
        return Some(Found::Inside(before.to_owned(), behind.to_owned()));
    }
    let next = plain(lines.get(index + 1)?);
    is_torn(&text, &next, typed).then_some(Found::InTwo)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::device::ConsoleLine;

    const TYPED: &str = "set_wifi SafeSignal-Edge [M@n;J*p-pass]";

    fn logged(texts: &[&str]) -> Vec<NumberedLine> {
        let line = |text: &&str| ConsoleLine { at_ms: 0, text: (*text).to_owned() };
        texts
            .iter()
            .map(line)
            .enumerate()
            .map(|(number, line)| NumberedLine { number, line })
            .collect()
    }

    fn typed(after: usize) -> Typed {
        Typed { line: Secret::new(TYPED), shown: "set_wifi ****".to_owned(), after }
    }

    /// What a log makes of bytes: lines, without what is not text.
    fn lines_of(bytes: &[u8]) -> Vec<String> {
        let lines = bytes.split(|byte| *byte == b'\n');
        let lines = lines.map(|line| line.iter().copied().filter(|byte| *byte != b'\r').collect());
        lines.map(|line: Vec<u8>| String::from_utf8_lossy(&line).into_owned()).collect()
    }

    /// Each bit of the echo, inverted alone: none of the secret is the unit's, and none is shown.
    #[test]
    fn an_echo_with_one_bit_wrong_is_the_benchs_own_words() {
        for (at, bit) in (0..TYPED.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut bytes = TYPED.as_bytes().to_vec();
            bytes[at] ^= 1 << bit;
            let heard = lines_of(&[b"esp32> ", &bytes[..]].concat());
            let texts: Vec<&str> = heard.iter().map(String::as_str).collect();
            let mut lines = logged(&texts);
            let own = take_out(&mut lines, &[typed(0)]);
            let said = own.concat();
            assert!(["", "esp32> "].contains(&&*said), "{at}.{bit}: {texts:?} leaves {said:?}");
            let shown = lines.iter().map(|line| line.line.text.as_str()).collect::<String>();
            assert!(!shown.contains("Edge"), "{at}.{bit}: {shown:?}");
            if texts.len() == 1 {
                assert_eq!(
                    at_end_of(&plain(texts[0]), TYPED).map(|found| found.1),
                    Some(Echo::Damaged),
                    "{texts:?}"
                );
            }
        }
    }

    #[rstest]
    #[case::told_by_the_unit("saved: password='[M@n;J*p-pass]'")]
    #[case::alone("[M@n;J*p-pass]")]
    #[case::two_bits("set_wifi SafeSignal-Ecgd [M@n;J*p-pass]")]
    #[case::with_words_of_its_own("set_wifi SafeSignal-Edge now [M@n;J*p-pass]")]
    fn what_else_holds_the_words_is_the_units(#[case] text: &str) {
        let mut lines = logged(&["esp32> typed before", text]);
        assert_eq!(take_out(&mut lines, &[typed(0)])[1], text);
        assert_eq!(at_end_of(text, TYPED), None);
    }

    #[test]
    fn a_typed_line_pays_for_one_echo_behind_it() {
        let mut lines = logged(&[TYPED, TYPED, TYPED]);
        assert_eq!(take_out(&mut lines, &[typed(1)]), [TYPED, "", TYPED]);
        let mut lines = logged(&[TYPED, TYPED]);
        assert_eq!(take_out(&mut lines, &[typed(0), typed(0)]), ["", ""]);
        assert_eq!(lines[1].line.text, "set_wifi ****");
    }

    /// An end of a line that was lost puts the answer behind the echo.
    #[test]
    fn what_stands_behind_an_echo_is_the_units() {
        let text = format!("> {TYPED}Jsaved: [M@n;J*p-pass]");
        let mut lines = logged(&[&text]);
        assert_eq!(take_out(&mut lines, &[typed(0)]), ["> Jsaved: [M@n;J*p-pass]"]);
    }

    #[test]
    fn a_short_line_is_told_from_an_answer() {
        assert_eq!(at_end_of("> AT", "AT"), Some(("> ", Echo::Whole)));
        assert_eq!(at_end_of("AU", "AT"), None);
        assert_eq!(at_end_of("OK", "AT"), None);
    }
}
