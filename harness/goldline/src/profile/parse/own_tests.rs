//! The keys of `[[check]]` with `id = "command"`, and `measure` of a console's line.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use regex::Regex;

use super::{
    Problems,
    checks::{UNLESS_GIVEN, passes_something},
};
use crate::{
    process::Program,
    profile::{
        CheckId, ConsoleMeasure, Demand, OwnTest, Resource,
        problem::Problem,
        raw::{At, RawCheck, RawLimits, RawMeasure, Text},
    },
    record::Limits,
};

impl Problems {
    /// The program of a check; the names of the tests before it are taken.
    pub(super) fn own_test(
        &mut self,
        raw: RawCheck,
        folder: Option<&Path>,
        taken: &[String],
    ) -> Option<OwnTest> {
        let place = raw.id.span();
        let missing = [
            ("name", raw.name.is_none()),
            ("command", raw.command.is_none()),
            ("limits", raw.limits.is_empty()),
        ];
        for (key, _) in missing.into_iter().filter(|(_, is_missing)| *is_missing) {
            self.push(place.clone(), Problem::CommandLacks { key });
        }
        if let Some(name) = &raw.name {
            self.test_name(name, taken);
        }
        let environment: Vec<String> = raw.environment.map_or_else(Vec::new, |names| {
            names.into_inner().into_iter().map(At::into_inner).collect()
        });
        let program = raw.command.and_then(|words| self.program(&words, folder, &environment));
        let witness = match raw.witness {
            Some(words) => Some(self.program(&words, folder, &environment)?),
            None => None,
        };
        let within = raw.within_s.as_ref().map_or(UNLESS_GIVEN, |raw| self.deadline(raw));
        let uses = raw.uses.map_or_else(Vec::new, |names| self.resources(&names));
        let demands = self.demands(raw.limits);
        Some(OwnTest {
            name: raw.name?.into_inner(),
            program: program?,
            witness,
            within,
            uses,
            demands,
        })
    }

    /// What belongs to a test of the product's own, and stands with another check.
    pub(super) fn refuse_keys_of_command(&mut self, raw: &RawCheck, id: CheckId) {
        let keys = [
            ("name", raw.name.as_ref().map(At::span)),
            ("command", raw.command.as_ref().map(At::span)),
            ("witness", raw.witness.as_ref().map(At::span)),
            ("within_s", raw.within_s.as_ref().map(At::span)),
            ("uses", raw.uses.as_ref().map(At::span)),
            ("environment", raw.environment.as_ref().map(At::span)),
        ];
        for (key, span) in keys {
            if let Some(span) = span {
                self.push(span, Problem::KeyOfCommand { key, id: id.name() });
            }
        }
        for limits in raw.limits.values() {
            for (key, text) in [("unit", &limits.unit), ("equals", &limits.equals)] {
                if let Some(text) = text {
                    self.push(text.span(), Problem::KeyOfCommand { key, id: id.name() });
                }
            }
        }
    }

    fn test_name(&mut self, name: &Text, taken: &[String]) {
        let text = name.get_ref();
        let is_taken =
            taken.contains(text) || CheckId::ALL.iter().any(|check| check.name() == text);
        let good = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        if is_taken || text.is_empty() || !text.bytes().all(good) {
            self.push(name.span(), Problem::TestName { name: text.clone() });
        }
    }

    fn program(
        &mut self,
        words: &At<Vec<Text>>,
        folder: Option<&Path>,
        environment: &[String],
    ) -> Option<Program> {
        let mut arguments =
            words.get_ref().iter().map(|word| word.get_ref().clone()).collect::<Vec<_>>();
        if arguments.first().is_none_or(String::is_empty) {
            self.push(words.span(), Problem::EmptyCommand);
            return None;
        }
        let named = arguments.remove(0);
        let program = match folder {
            _ if !named.contains('/') => PathBuf::from(named),
            Some(folder) => folder.join(named),
            None => {
                self.push(words.span(), Problem::NoFolder { path: named });
                return None;
            }
        };
        Some(Program { program, arguments, environment: environment.to_vec() })
    }

    fn resources(&mut self, names: &At<Vec<Text>>) -> Vec<Resource> {
        let mut resources = Vec::new();
        for name in names.get_ref() {
            match name.get_ref().parse() {
                Ok(resource) => resources.push(resource),
                Err(problem) => self.push(name.span(), Problem::from(problem)),
            }
        }
        resources
    }

    fn demands(&mut self, raw: BTreeMap<Text, RawLimits>) -> BTreeMap<String, Demand> {
        let mut demands = BTreeMap::new();
        for (name, RawLimits { lower, upper, unit, equals }) in raw {
            let has_bounds = lower.is_some() || upper.is_some();
            let sound = match &equals {
                Some(_) => !has_bounds && unit.is_none(),
                None => passes_something(lower, upper),
            };
            if !sound {
                self.push(name.span(), Problem::Demand { name: name.get_ref().clone() });
            }
            let unit = unit.map(At::into_inner).unwrap_or_default();
            let demand = match equals {
                Some(word) => Demand::Is(word.into_inner()),
                None => Demand::Within { limits: Limits { lower, upper }, unit },
            };
            demands.insert(name.into_inner(), demand);
        }
        demands
    }

    /// A number in a console's answer.
    pub(super) fn console_measure(&mut self, raw: &RawMeasure) -> Option<ConsoleMeasure> {
        let (lower, upper) = (raw.lower, raw.upper);
        if !passes_something(lower, upper) {
            let name = raw.name.get_ref().clone();
            self.push(raw.name.span(), Problem::Limits { name });
        }
        Some(ConsoleMeasure {
            name: raw.name.get_ref().clone(),
            pattern: self.pattern_of_one_group(&raw.pattern)?,
            unit: raw.unit.as_ref().map(|unit| unit.get_ref().clone()).unwrap_or_default(),
            limits: Limits { lower, upper },
        })
    }

    /// A regular expression whose one group holds what is sought.
    pub(super) fn pattern_of_one_group(&mut self, raw: &Text) -> Option<Regex> {
        match Regex::new(raw.get_ref()) {
            Ok(pattern) if pattern.captures_len() == 2 => Some(pattern),
            Ok(pattern) => {
                let found = pattern.captures_len() - 1;
                self.push(raw.span(), Problem::PatternGroups { found });
                None
            }
            Err(error) => {
                let reason = error.to_string().replace('\n', " ");
                self.push(raw.span(), Problem::Pattern { reason });
                None
            }
        }
    }
}
