//! Questions to whoever stands at the terminal.

use std::{
    io::{self, BufRead, Write},
    sync::{Arc, Mutex, PoisonError},
};

use crate::engine::AskOperator;

/// One question at a time, whichever unit it is of.
static ASKING: Mutex<()> = Mutex::new(());

/// Asks on standard error and reads standard input, again and again until it is a yes or a no.
pub(super) fn ask_on_terminal() -> AskOperator {
    Arc::new(|question| {
        let _turn = ASKING.lock().unwrap_or_else(PoisonError::into_inner);
        ask(question, &mut io::stdin().lock(), &mut io::stderr().lock())
    })
}

fn ask(question: &str, answers: &mut impl BufRead, out: &mut impl Write) -> Option<bool> {
    loop {
        write!(out, "{question} [y/n] ").and_then(|()| out.flush()).ok()?;
        let mut answer = String::new();
        if answers.read_line(&mut answer).ok()? == 0 {
            return None;
        }
        match answer.trim().to_lowercase().as_str() {
            "y" | "yes" => return Some(true),
            "n" | "no" => return Some(false),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_yes_or_a_no_or_none_at_all() {
        let asked = |typed: &str| ask("seen?", &mut typed.as_bytes(), &mut Vec::new());
        assert_eq!(asked("y\n"), Some(true));
        assert_eq!(asked("No\n"), Some(false));
        assert_eq!(asked("what?\n\nyes\n"), Some(true));
        assert_eq!(asked(""), None);
        assert_eq!(asked("perhaps"), None);
    }
}
