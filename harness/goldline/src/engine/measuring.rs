//! Programs of the product's own that measure the unit while it runs.

use std::sync::Arc;

use serde_json::Value;

use super::{Failure, Run, recorded::describe_unit};
use crate::{
    check::{OwnTestObservation, is_met},
    jig::{self, NoReading, Question, Reading},
    process::ProgramError,
    profile::OwnTest,
};

impl Run {
    /// Asks the program of a test once. What it measured is a check's to judge; before a unit is blamed, the
    /// instrument's witness is heard.
    pub(super) async fn measure(&mut self, own: &Arc<OwnTest>) -> Result<(), Failure> {
        let question = self.question(own)?;
        let reading = self.asked(Arc::clone(own), question.clone()).await?;
        let mut observed = OwnTestObservation { reading, vouched: None };
        let mut demands = own.demands.iter();
        let is_good = demands.all(|(name, demand)| is_met(name, demand, observed.value(name)));
        if observed.reading.is_ok() && !is_good {
            observed.vouched = self.vouched_for(Arc::clone(own), question).await?;
        }
        self.seen.own_tests.insert(own.name.clone(), observed);
        Ok(())
    }

    fn question(&self, own: &OwnTest) -> Result<Question, Failure> {
        let plan = self.bound()?;
        let unit = describe_unit(&self.seen, Some(plan));
        let run = (plan.profile().name.as_str(), self.run_id, self.device_url.as_str());
        Ok(Question::new(&own.name, run, unit, own.demands.keys().cloned().collect()))
    }

    async fn asked(
        &mut self,
        own: Arc<OwnTest>,
        question: Question,
    ) -> Result<Result<Reading, String>, Failure> {
        let cancel = self.cancel.clone();
        let ask = move || jig::ask(&own.program, &question, own.within, || cancel.is_cancelled());
        match tokio::task::spawn_blocking(ask).await? {
            Ok(reading) => Ok(Ok(self.without_secrets(reading)?)),
            Err(NoReading::Program(ProgramError::Stopped)) => Err(Failure::Aborted),
            Err(error) => {
                let error = error.shown(self.mask()?).to_string();
                Ok(Err(self.masked(&error)?))
            }
        }
    }

    async fn vouched_for(
        &mut self,
        own: Arc<OwnTest>,
        question: Question,
    ) -> Result<Option<Result<String, String>>, Failure> {
        let Some(witness) = own.witness.clone() else { return Ok(None) };
        let cancel = self.cancel.clone();
        let vouch = move || jig::vouch(&witness, &question, own.within, || cancel.is_cancelled());
        match tokio::task::spawn_blocking(vouch).await? {
            Ok(words) => Ok(Some(Ok(jig::shortened(&self.masked(&words)?)))),
            Err(ProgramError::Stopped) => Err(Failure::Aborted),
            Err(error) => {
                let error = error.shown(self.mask()?).to_string();
                Ok(Some(Err(self.masked(&error)?)))
            }
        }
    }

    /// A program is told no secret, but may read one from the unit.
    fn without_secrets(&self, reading: Reading) -> Result<Reading, Failure> {
        let Reading { mut measurements, mut evidence } = reading;
        for (_, value) in &mut measurements {
            if let Value::String(text) = value {
                *text = self.masked(text)?;
            }
        }
        for line in &mut evidence {
            *line = self.masked(line)?;
        }
        Ok(Reading { measurements, evidence })
    }

    fn masked(&self, text: &str) -> Result<String, Failure> {
        Ok(self.mask()?(text))
    }

    fn mask(&self) -> Result<impl Fn(&str) -> String, Failure> {
        let bindings = self.bound()?.bindings();
        Ok(|text: &str| bindings.redact(text).0)
    }
}
