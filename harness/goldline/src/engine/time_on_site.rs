//! Whether a unit on a site's network has the time: a question for it carries no name, so that its console must say so.

use tokio::time::sleep_until;

use super::{
    Failure, Next, Run,
    calls::{TIME_TOLERANCE, UNTRUE_TIME},
    millis,
    on_site::and_the_way,
    probing::at_time_server,
};
use crate::{
    check::{ServiceObservation, Witness, plain},
    clock::Deadline,
};

impl Run {
    /// Waits until the unit's console says that it has the time; all that the server knows is whether anybody asked.
    pub(super) async fn await_time_on_site(&mut self) -> Result<Next, Failure> {
        let (since, deadline) = self.wait_for_call()?;
        let planned = self.plan.profile.time.as_ref();
        let expect = planned.and_then(|time| time.expect.clone());
        // Refused before the unit was touched.
        let expect = expect.ok_or(Failure::NotOffered("words of the console for the time"))?;
        let said = self.says(&expect, deadline).await?;
        let testbed = self.testbed()?;
        let server = testbed.time_server.as_ref().ok_or(Failure::NotOffered("time server"))?;
        let mut asked = server.asked_by_visitors();
        asked.retain(|asked| asked.instant >= since);
        let answers = || asked.iter().filter_map(|asked| Some((asked.at, asked.event.answered?)));
        let wrong = answers().any(|(at, told)| (at - told).abs() > TIME_TOLERANCE);
        let was_asked = answers().next().is_some();
        let detail = match (said, was_asked) {
            (Some(_), true) => {
                "its console says that it has the time, and the bench was asked for it, by whom is not told"
            }
            (Some(_), false) => {
                "its console says that it has the time, and nobody asked the bench for it"
            }
            (None, _) => "its console does not say that it has it",
        };
        let served = said.is_some() && was_asked && !wrong;
        let witness = match served {
            true => None,
            false if self.hearing.facts().has_missed() => Some(Witness::of_medium(Err(
                "the unit's console was not heard all the time".into(),
            ))),
            false => {
                let witness = at_time_server(testbed, self.bound()?, &self.bench).await?;
                let way_in = self.way_in()?.without_its_own();
                Some(and_the_way(testbed, &way_in, witness, false).await)
            }
        };
        self.seen.time = Some(ServiceObservation {
            served,
            took_ms: said,
            waited_ms: millis(deadline.allowed()),
            detail: detail.to_owned(),
            untrue: wrong.then(|| UNTRUE_TIME.to_owned()),
            witness,
        });
        Ok(if served { Next::GoOn } else { Next::Enough })
    }

    /// When the present boot printed a line with that text, in milliseconds since the reset; waits for it.
    async fn says(&mut self, text: &str, deadline: Deadline) -> Result<Option<u64>, Failure> {
        let console = self.console()?;
        loop {
            let printed = console.printed();
            let lines = console.lines_after(0);
            if let Some(line) = lines.iter().find(|line| plain(&line.text).contains(text)) {
                return Ok(Some(line.at_ms));
            }
            tokio::select! {
                () = console.changed(printed) => {}
                () = sleep_until(deadline.instant()) => return Ok(None),
                failure = self.interrupted() => return Err(failure),
            }
        }
    }
}
