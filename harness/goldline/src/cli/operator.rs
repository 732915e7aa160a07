//! Questions to whoever stands at the terminal.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
    thread::sleep,
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    device::{AskHand, HandRequest},
    engine::AskOperator,
};

/// How often whoever waits for a turn looks for it.
const LOOK: Duration = Duration::from_millis(50);

/// One question at a time, whichever unit it is of.
static ASKING: Mutex<()> = Mutex::new(());

/// Has somebody at the terminal press a unit's buttons, one unit at a time; `None` where nobody sits at one.
pub(super) fn press_at_terminal() -> Option<AskHand> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return None;
    }
    Some(Arc::new(|request, given_up| {
        let turn = loop {
            match ASKING.try_lock() {
                Ok(turn) => break turn,
                Err(TryLockError::Poisoned(turn)) => break turn.into_inner(),
                Err(TryLockError::WouldBlock) if given_up() => return None,
                Err(TryLockError::WouldBlock) => sleep(LOOK),
            }
        };
        let mut pressed = AtTerminal { _turn: turn, is_closed: false };
        pressed.say(request);
        Some(Box::new(pressed))
    }))
}

struct AtTerminal {
    _turn: MutexGuard<'static, ()>,
    is_closed: bool,
}

impl HandRequest for AtTerminal {
    fn say(&mut self, words: &str) {
        // Who cannot be told sees nothing, and the time runs out.
        let _told = writeln!(io::stderr(), "{words}, then press Enter");
    }

    /// Reads only what is there: a thread that waits for a line would take the next question's answer.
    fn is_said_to_be_done(&mut self) -> bool {
        let stdin = io::stdin();
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut polled = [PollFd::new(&stdin, PollFlags::IN)];
        if self.is_closed || !poll(&mut polled, Some(&now)).is_ok_and(|ready| ready > 0) {
            return false;
        }
        let mut line = [0; 256];
        let read = rustix::io::read(&stdin, &mut line).unwrap_or(0);
        self.is_closed = read == 0;
        read > 0
    }
}

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
