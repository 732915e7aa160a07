//! What a unit answers to a line: its own words since then, and not what goes on whatever is typed.
//!
//! Echo, log lines, a start's words and a crash's are no answer, in whatever order and however broken they
//! arrive: a log line of another task may stand in the middle of one. Must not know who types.

use super::echo::{self, Echo};
use crate::{
    check::{is_logged, plain},
    device::ConsoleLine,
};

/// What became of a line so far.
#[derive(Debug)]
pub(super) enum Reply {
    Good,
    /// The line that refuses.
    Refused(String),
    Missing,
}

/// What the unit said since a line was typed.
#[derive(Debug)]
pub(super) struct Answer {
    echo: Option<Echo>,
    /// How much was printed, said and mended before it: that answers an earlier line.
    before_echo: [usize; 3],
    /// Everything but the echo, for people.
    printed: Vec<String>,
    /// The unit's own words, line by line.
    said: Vec<String>,
    /// The same, with those in one line that only log lines stood between.
    mended: Vec<String>,
}

impl Answer {
    /// Takes the echo of what was typed out of what was printed since. A line that refuses may end with
    /// what was typed, as in "Usage: reset --confirm": that is no echo.
    pub(super) fn of(lines: &[ConsoleLine], typed: &str, refuse: &[String]) -> Self {
        let mut answer = Self {
            echo: None,
            before_echo: [0; 3],
            printed: Vec::new(),
            said: Vec::new(),
            mended: Vec::new(),
        };
        let mut broken = false;
        let mut lines = lines.iter().map(|line| plain(&line.text)).peekable();
        while let Some(text) = lines.next() {
            if answer.echo.is_none() {
                answer.before_echo = [&answer.printed, &answer.said, &answer.mended].map(Vec::len);
                answer.echo = echo::at_end_of(&text, typed)
                    .filter(|(before, _)| !refuse.iter().any(|it| before.contains(it.as_str())))
                    .map(|(_, echo)| echo);
                if answer.echo.is_some() {
                    continue;
                }
                if lines.next_if(|next| echo::is_torn(&text, next, typed)).is_some() {
                    answer.echo = Some(Echo::Damaged);
                    continue;
                }
            }
            answer.printed.push(text.clone().into_owned());
            let (said, log) = without_log(&text);
            if !said.is_empty() || !log {
                answer.say(said, broken);
                broken = false;
            }
            broken |= log;
        }
        answer
    }

    fn say(&mut self, said: &str, broken: bool) {
        self.said.push(said.to_owned());
        match self.mended.last_mut().filter(|_| broken) {
            Some(before) => before.push_str(said),
            None => self.mended.push(said.to_owned()),
        }
    }

    /// Only what stands behind the echo: without one, nothing.
    pub(super) fn behind_echo(mut self) -> Self {
        let before = std::mem::take(&mut self.before_echo);
        for (lines, before) in
            [&mut self.printed, &mut self.said, &mut self.mended].into_iter().zip(before)
        {
            lines.drain(..if self.echo.is_some() { before } else { lines.len() });
        }
        self
    }

    /// How the typed line came back, if it did.
    pub(super) fn echo(&self) -> Option<Echo> {
        self.echo
    }

    /// Whether the unit has surely said something to this line: behind its echo.
    pub(super) fn answers_its_echo(&self) -> bool {
        let mut behind = self.said.iter().skip(self.before_echo[1]);
        self.echo.is_some() && behind.any(|line| !line.trim().is_empty())
    }

    /// Everything but the echo, for people.
    pub(super) fn printed(&self) -> &[String] {
        &self.printed
    }

    /// Whether the expected texts stand in it in their order; `None` while more may come.
    ///
    /// A line that refuses is no answer, although it may name what was asked for: "Usage: reset --confirm".
    /// An expected text with a value in it refuses nothing, whatever the value is.
    pub(super) fn reply(&self, expected: &[String], refuse: &[String]) -> Option<Reply> {
        reply_in(&self.said, expected, refuse).or_else(|| {
            let mended = reply_in(&self.mended, expected, refuse);
            mended.filter(|reply| matches!(reply, Reply::Good))
        })
    }
}

/// What of a line the unit says, and whether there is a log line in it, which another task may have begun
/// in the middle of a line.
fn without_log(line: &str) -> (&str, bool) {
    if is_logged(line) {
        return ("", true);
    }
    let starts = line.char_indices().map(|(at, _)| at).skip(1);
    let log =
        starts.filter(|at| may_begin_a_log_line(&line[*at..])).find(|at| is_logged(&line[*at..]));
    log.map_or((line, false), |at| (&line[..at], true))
}

/// Asked first, since it costs nothing.
fn may_begin_a_log_line(text: &str) -> bool {
    let bytes = text.as_bytes();
    matches!(bytes, [b'E' | b'W' | b'I' | b'D' | b'V', b' ', b'(', ..])
        || bytes.first() == Some(&b'[')
}

fn reply_in(said: &[String], expected: &[String], refuse: &[String]) -> Option<Reply> {
    let mut wanted = expected.iter().peekable();
    for line in said {
        let (mut rest, mut still_wanted) = (line.clone(), wanted.clone());
        let mut ahead = line.as_str();
        while let Some(text) = still_wanted.next_if(|text| ahead.contains(text.as_str())) {
            rest = rest.replacen(text.as_str(), "", 1);
            ahead = ahead.split_once(text.as_str()).map_or("", |(_, behind)| behind);
        }
        if refuse.iter().any(|text| rest.contains(text.as_str())) {
            return Some(Reply::Refused(line.clone()));
        }
        wanted = still_wanted;
        if wanted.peek().is_none() {
            return Some(Reply::Good);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn lines(texts: &[&str]) -> Vec<ConsoleLine> {
        texts.iter().map(|text| ConsoleLine { at_ms: 0, text: (*text).to_owned() }).collect()
    }

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn reply(printed: &[&str], expected: &[&str], refuse: &[&str]) -> Option<Reply> {
        Answer::of(&lines(printed), "typed", &owned(refuse)).reply(&owned(expected), &owned(refuse))
    }

    fn is_good(printed: &[&str], expected: &[&str]) -> bool {
        matches!(reply(printed, expected, &["ERROR", "rror"]), Some(Reply::Good))
    }

    /// An SSID such as "BOOK" made its own echo pass for the answer.
    #[test]
    fn the_echo_of_a_line_is_not_its_answer() {
        let answer =
            Answer::of(&lines(&["esp> AT+WIFI_SSID=BOOK", "ERROR"]), "AT+WIFI_SSID=BOOK", &[]);
        assert_eq!(answer.printed(), ["ERROR"]);
        assert!(answer.reply(&owned(&["BOOK"]), &[]).is_none());
    }

    /// A bit that was inverted in an echo is no refusal, and its text is not repeated.
    #[test]
    fn an_echo_with_one_bit_wrong_is_no_answer() {
        let typed = "set_wifi Failed-Lab secret-word";
        for heard in [
            &["> set_wifi Failed-Lab secret-wopd", "OK"][..],
            &["> set_wifi FailedLab secret-word", "OK"],
            &["> set_wifi Failed", "Lab secret-word", "OK"],
        ] {
            let answer = Answer::of(&lines(heard), typed, &[]);
            assert_eq!(
                (answer.printed(), answer.echo()),
                (&owned(&["OK"])[..], Some(Echo::Damaged))
            );
            assert!(matches!(
                answer.reply(&owned(&["OK"]), &owned(&["Failed"])),
                Some(Reply::Good)
            ));
        }
        let told = Answer::of(&lines(&["> set_wifi Failed-Lab secret-word", "Failed"]), typed, &[]);
        assert_eq!(told.echo(), Some(Echo::Whole));
        assert!(matches!(told.reply(&[], &owned(&["Failed"])), Some(Reply::Refused(_))));
    }

    /// The end of the answer before was taken for this one's, and its prompt for this one's end.
    #[test]
    fn what_stands_before_an_echo_answers_another_line() {
        let answers = |heard: &[&str]| Answer::of(&lines(heard), "status", &[]).answers_its_echo();
        assert!(!answers(&["Test alert requested"]));
        assert!(!answers(&["Test alert requested", "> status"]));
        assert!(!answers(&["> status", "I (1) a: b"]));
        assert!(answers(&["> status", "Provisioned: no"]));
        let heard = lines(&["Provisioned: yes", "> status", "Provisioned: no"]);
        let behind = Answer::of(&heard, "status", &[]).behind_echo();
        assert_eq!(behind.printed(), ["Provisioned: no"]);
        assert!(behind.reply(&owned(&["yes"]), &[]).is_none());
        assert!(behind.reply(&owned(&["no"]), &[]).is_some());
        let silent = Answer::of(&heard[..1], "status", &[]).behind_echo();
        assert!(silent.printed().is_empty() && silent.reply(&owned(&["yes"]), &[]).is_none());
    }

    /// A console without echo was taken for one that had given the line back and then said nothing.
    #[test]
    fn a_usage_that_ends_with_what_was_typed_is_no_echo() {
        let usage = lines(&["> Usage: reset --confirm"]);
        let (typed, refuse) = ("reset --confirm", owned(&["Usage"]));
        let answer = Answer::of(&usage, typed, &refuse);
        assert_eq!(answer.echo(), None);
        assert!(matches!(answer.reply(&[], &refuse), Some(Reply::Refused(_))));
        let both = lines(&["> reset --confirm", "Usage: reset --confirm"]);
        assert_eq!(Answer::of(&both, typed, &refuse).printed(), ["Usage: reset --confirm"]);
    }

    #[test]
    fn a_log_line_in_between_does_not_hide_an_answer() {
        let printed = ["I (900) wifi: scan", "saved: SSID='Lab'", "I (901) nvs: commit", "OK"];
        assert!(is_good(&printed, &["SSID='Lab'", "OK"]));
        assert!(!is_good(&printed, &["OK", "SSID='Lab'"]));
    }

    /// A broker that was down made 29 of 80 units refuse whatever was typed at that moment.
    #[rstest]
    #[case::idf("E (53272) esp-tls: [sock=54] connect() error: connection refused, OK")]
    #[case::colours("\u{1b}[0;31mE (53272) esp-tls: connect() error, OK\u{1b}[0m")]
    #[case::arduino("[ 53272][E][WiFiClient.cpp:3] connect(): error, OK")]
    #[case::behind_a_prompt("> E (53272) esp-tls: connect() error, OK")]
    #[case::boot("ets Jul 29 2019 12:21:46 error OK")]
    #[case::crash("Guru Meditation Error: Core  0 panic'ed, OK")]
    fn a_line_that_comes_anyway_neither_refuses_nor_answers(#[case] line: &str) {
        assert!(reply(&[line], &["OK"], &["rror"]).is_none());
        assert!(is_good(&[line, "OK"], &["OK"]));
        assert!(is_good(&["OK", line], &["OK"]));
        let refused = reply(&[line, "error: unknown"], &["OK"], &["rror"]);
        assert!(matches!(refused, Some(Reply::Refused(found)) if found == "error: unknown"));
    }

    /// Another task's line may begin anywhere in an answer, on a line of its own or not.
    #[test]
    fn an_answer_is_whole_however_a_log_line_breaks_it() {
        let (answer, log) = ("WiFi credentials saved: SSID='Lab'", "W (57) wifi: scan error");
        for at in 0..=answer.len() {
            let (start, end) = answer.split_at(at);
            let behind = format!("{start}{log}");
            for printed in [vec![start, log, end], vec![&behind, end]] {
                assert!(is_good(&printed, &[answer]), "{printed:?}");
                assert!(!is_good(&printed, &["SSID='Other'"]), "{printed:?}");
            }
        }
    }

    #[test]
    fn lines_with_nothing_between_them_are_not_one() {
        assert!(!is_good(&["SSID=", "'Lab'"], &["SSID='Lab'"]));
        assert!(!is_good(&["SSID='L", "I (1) a: b", "oft'"], &["SSID='Lab'"]));
    }

    /// "reset" was found in the firmware's usage text, and the unit was blamed for not restarting.
    #[test]
    fn a_refusal_that_names_what_was_asked_for_is_no_answer() {
        let refuse = ["Usage", "Failed"];
        let usage = reply(&["Usage: provision_reset --confirm"], &["reset"], &refuse);
        assert!(matches!(usage, Some(Reply::Refused(_))));
        let named = reply(&["saved: SSID='Failed'"], &["SSID='Failed'"], &refuse);
        assert!(matches!(named, Some(Reply::Good)));
    }

    #[test]
    fn a_refusal_ends_the_wait() {
        let refused = reply(&["ERROR: too long"], &["OK"], &["ERROR"]);
        assert!(matches!(refused, Some(Reply::Refused(line)) if line == "ERROR: too long"));
    }
}
