//! Waiting until a firmware is ready for what is typed: its application runs, and its console listens.
//!
//! A line that is typed before is lost. Must not type, and knows no dialogue.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::{Failure, Run};
use crate::{
    check::{LineKind, kind_of, plain, stops},
    clock::Deadline,
    device::Console,
};

/// So long nothing is printed when a firmware has said all of its start.
const SILENCE: Duration = Duration::from_millis(200);
/// How long a firmware is waited for that never falls silent, or never shows its prompt.
const LONGEST_START: Duration = Duration::from_secs(3);

/// Whether an unfinished line is the prompt, which waits for what is typed.
pub(super) fn is_at_prompt(partial: &str, prompt: &str) -> bool {
    plain(partial).trim() == prompt.trim()
}

/// Whether the console showed its prompt since the last start, as far as it was heard.
#[derive(Default)]
struct Shown {
    lines: usize,
    prompt: bool,
}

impl Shown {
    /// A log line of another task may stand behind a prompt, or have taken its place.
    fn hear(&mut self, console: &Console, prompt: &str) -> bool {
        // In this order a line that comes in between is heard twice, and not never.
        let printed = console.printed();
        let lines = console.lines_after(self.lines);
        self.lines = printed;
        for line in &lines {
            match kind_of(&line.text) {
                LineKind::Boot => self.prompt = false,
                _ => self.prompt |= plain(&line.text).trim_start().starts_with(prompt),
            }
        }
        self.prompt || is_at_prompt(&console.partial(), prompt)
    }
}

impl Run {
    /// The unit restarts by itself, beyond the lines about its application that were there before; what
    /// comes after must not find it on its way down.
    pub(super) async fn await_application(
        &mut self,
        before: usize,
        otherwise: &str,
    ) -> Result<(), Failure> {
        let deadline = Deadline::after(self.plan.profile.deadlines.boot);
        let console = self.console()?;
        loop {
            let printed = console.printed();
            if self.hearing.facts().application_lines > before {
                return Ok(());
            }
            tokio::select! {
                () = console.changed(printed) => {}
                () = sleep_until(deadline.instant()) => {
                    let within = deadline.allowed().as_secs();
                    return Err(Failure::Unit(stops::not_restarted(otherwise, within)));
                }
                failure = self.interrupted() => return Err(failure),
            }
        }
    }

    /// Waits until the application runs and has said its start. A crash since the boot is the unit's fault, also
    /// where it came up again: nothing else of the run would tell.
    pub(super) async fn await_start(&mut self) -> Result<(), Failure> {
        self.await_console(None).await?;
        match self.hearing.facts().crashes() {
            0 => Ok(()),
            _ => Err(Failure::BootLog),
        }
    }

    /// Waits until the application runs and its console listens.
    pub(super) async fn await_console(&mut self, prompt: Option<&str>) -> Result<(), Failure> {
        let deadline = self.start_deadline()?;
        let console = self.console()?;
        loop {
            let printed = console.printed();
            if self.hearing.facts().has_application() {
                return match prompt {
                    Some(prompt) => self.await_prompt(&console, prompt).await,
                    None => self.await_silence(&console).await,
                };
            }
            tokio::select! {
                () = console.changed(printed) => {}
                () = sleep_until(deadline) => {
                    let waited = self.plan.profile.deadlines.boot.as_secs();
                    return Err(Failure::Unit(stops::never_started(waited)));
                }
                failure = self.interrupted() => return Err(failure),
            }
        }
    }

    /// A firmware that has just started says what it starts, which is no answer to a line; only then does its
    /// console listen. One that never falls silent is typed to all the same.
    pub(super) async fn await_silence(&mut self, console: &Console) -> Result<(), Failure> {
        let limit = Instant::now() + LONGEST_START;
        loop {
            let printed = console.printed();
            tokio::select! {
                () = console.changed(printed) => {}
                () = sleep(SILENCE) => return Ok(()),
                failure = self.interrupted() => return Err(failure),
            }
            if Instant::now() >= limit {
                return Ok(());
            }
        }
    }

    /// Waits until an earlier answer is over. A prompt that a log line took the place of is not shown again.
    pub(super) async fn await_turn(
        &mut self,
        console: &Console,
        prompt: &str,
    ) -> Result<(), Failure> {
        if is_at_prompt(&console.partial(), prompt) {
            return Ok(());
        }
        let limit = Instant::now() + LONGEST_START;
        loop {
            let bytes = console.bytes();
            tokio::select! {
                () = console.fed(bytes) => {}
                () = sleep(SILENCE) => return Ok(()),
                failure = self.interrupted() => return Err(failure),
            }
            if is_at_prompt(&console.partial(), prompt) || Instant::now() >= limit {
                return Ok(());
            }
        }
    }

    /// One whose prompt was lost on the wire is typed to all the same.
    async fn await_prompt(&mut self, console: &Console, prompt: &str) -> Result<(), Failure> {
        let limit = Instant::now() + LONGEST_START;
        let mut shown = Shown::default();
        loop {
            let bytes = console.bytes();
            if shown.hear(console, prompt) {
                return Ok(());
            }
            tokio::select! {
                () = console.fed(bytes) => {}
                () = sleep_until(limit) => return Ok(()),
                failure = self.interrupted() => return Err(failure),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console(text: &str) -> Console {
        let console = Console::default();
        console.listen();
        console.feed(text.as_bytes());
        console
    }

    fn is_ready(text: &str) -> bool {
        Shown::default().hear(&console(text), "esp32> ")
    }

    #[test]
    fn a_console_is_ready_when_it_showed_its_prompt_since_the_last_start() {
        assert!(is_ready("I (9) main_task: Calling app_main()\r\nesp32> "));
        assert!(is_ready("\x1b[5nesp32> \x1b[0K"));
        assert!(is_ready("esp32> I (9) wifi: up\r\nI (10) wifi: on"), "a log took its place");
        assert!(!is_ready("I (9) main_task: Calling app_main()\r\n"));
        assert!(!is_ready("I (9) main_task: esp32> \r\n"), "in words");
        assert!(!is_ready("esp32> restart\r\nOK\r\nets Jul 29 2019 12:21:46\r\n"), "restarted");
    }

    #[test]
    fn what_was_heard_is_not_heard_again() {
        let (console, mut shown) = (console("esp32> "), Shown::default());
        assert!(shown.hear(&console, "esp32> "));
        console.feed(b"restart\r\nets Jul 29 2019 12:21:46\r\nI (9) a: up\r\n");
        assert!(!shown.hear(&console, "esp32> "));
        console.feed(b"esp32> ");
        assert!(shown.hear(&console, "esp32> "));
    }
}
