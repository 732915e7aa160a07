//! Pasting a text of several lines into the unit's console, such as a certificate: when the console asks for it,
//! and to its end.
//!
//! What is typed counts as the bench's own words, whether the console gives it back or not. Must not judge the
//! answer.

use tokio::time::sleep_until;

use super::{
    Failure, Run,
    answer::Reply,
    echo::{MASK, Typed},
};
use crate::{
    clock::Deadline,
    device::Console,
    plan::BoundPlan,
    profile::{LineEnd, Paste},
    secret::Secret,
};

/// A text with its values.
pub(super) struct Pasted {
    /// What the console says when it is ready.
    pub(super) when: String,
    lines: Vec<Secret>,
    is_secret: bool,
}

impl Pasted {
    pub(super) fn of(paste: &Paste, plan: &BoundPlan) -> Result<Self, Failure> {
        let text = plan.render(&paste.text)?;
        let lines = text.expose().lines().filter(|line| !line.trim().is_empty());
        let lines = lines.map(Secret::new).collect();
        Ok(Self { when: paste.when.clone(), lines, is_secret: text.is_secret() })
    }
}

impl Run {
    /// Types the text when the console asks for it; `false` when it refused or did not ask in time.
    pub(super) async fn paste(
        &mut self,
        paste: &Pasted,
        line_end: LineEnd,
        console: &Console,
        asked: impl Fn() -> Option<Reply>,
        deadline: Deadline,
    ) -> Result<bool, Failure> {
        loop {
            let printed = console.printed();
            match asked() {
                Some(Reply::Good) => break,
                Some(Reply::Refused(_) | Reply::Missing) => return Ok(false),
                None => {}
            }
            tokio::select! {
                () = console.changed(printed) => {}
                () = sleep_until(deadline.instant()) => return Ok(false),
                failure = self.interrupted() => return Err(failure),
            }
        }
        self.type_lines(paste, &paste.lines, line_end, console.printed()).await?;
        Ok(true)
    }

    /// Types the last line once more, and waits until the unit has said what it makes of it.
    pub(super) async fn type_end_of(
        &mut self,
        paste: &Pasted,
        line_end: LineEnd,
    ) -> Result<(), Failure> {
        let console = self.console()?;
        let last = paste.lines.last().map(std::slice::from_ref).unwrap_or_default();
        self.type_lines(paste, last, line_end, console.printed()).await?;
        self.await_silence(&console).await
    }

    async fn type_lines(
        &mut self,
        paste: &Pasted,
        lines: &[Secret],
        line_end: LineEnd,
        after: usize,
    ) -> Result<(), Failure> {
        let mut text = String::new();
        for line in lines {
            let shown = if paste.is_secret { MASK } else { line.expose() };
            self.typed.push(Typed { line: line.clone(), shown: shown.to_owned(), after });
            text.push_str(line.expose());
            text.push_str(line_end.text());
        }
        self.type_text(text).await
    }
}
