//! Which step may follow which: what each needs to be so of the unit, and what is so after it.
//!
//! Checked once, when a plan is made; what runs a plan need not ask again. Must not know how a step is
//! done.

use std::ops::Deref;

use super::{Moment, Purpose, Step};
use crate::profile::DialogueName;

/// Steps in an order in which each of them can be done.
#[derive(Clone, Debug)]
pub struct Steps(Vec<Step>);

/// A step stands where it cannot be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("step {number}, {step}, cannot be done there: it needs {}", .need.words())]
pub struct OutOfOrder {
    /// From 1.
    pub number: usize,
    /// Name of the step.
    pub step: &'static str,
    /// What is not so at that point.
    pub need: Need,
}

/// What may have to be so before a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// Nobody knows yet which unit it is.
    Unknown,
    /// It is known which unit it is.
    Known,
    /// The loader answers.
    Loader,
    /// The firmware ran at some time.
    HasRun,
    /// The firmware runs, whatever for.
    Runs,
    /// The firmware runs to be given its values.
    RunsToProvision,
    /// The firmware runs to show that it works.
    RunsOnTrial,
    /// The unit is in the network.
    Joined,
    /// The unit is at its broker.
    Connected,
    /// The NVS partition was read as it was.
    NvsRead,
    /// What lies in the flash was read back before the trial.
    Evidence,
    /// The unit passed its test.
    Judged,
    /// Nothing that the test wrote is in the flash any more.
    Cleared,
}

/// What is so of a unit between two steps.
#[derive(Clone, Copy, Default)]
struct Standing {
    place: Place,
    has_run: bool,
    nvs_read: bool,
    evidence: bool,
    judged: bool,
    cleared: bool,
}

/// Each of the last four includes those before it, from `Runs` on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Place {
    #[default]
    Nowhere,
    Loader,
    Runs(Purpose),
    Joined,
    Connected,
}

impl Steps {
    /// Takes steps whose order is sound.
    ///
    /// # Errors
    /// [`OutOfOrder`] names the first step that could not be done where it stands.
    pub fn new(steps: Vec<Step>) -> Result<Self, OutOfOrder> {
        let mut standing = Standing::default();
        for (index, step) in steps.iter().enumerate() {
            if let Some(need) = needs(step).iter().find(|need| !standing.meets(**need)) {
                return Err(OutOfOrder { number: index + 1, step: step.name(), need: *need });
            }
            standing = standing.after(step);
        }
        Ok(Self(steps))
    }
}

impl Deref for Steps {
    type Target = [Step];

    fn deref(&self) -> &[Step] {
        &self.0
    }
}

/// What must be so before a step.
fn needs(step: &Step) -> &'static [Need] {
    match step {
        Step::Identify => &[Need::Unknown],
        Step::Register(_)
        | Step::RequestCredentials(_)
        | Step::RecordInRegistry(_)
        | Step::Boot(_) => &[Need::Known],
        Step::Write(_)
        | Step::EraseRest(_)
        | Step::ReadNvs(_)
        | Step::CollectEvidence { moment: Moment::BeforeBoot, .. } => &[Need::Loader],
        Step::ReadFuses(Moment::AfterBoot) => &[Need::HasRun],
        Step::ReadFuses(_) => &[Need::Loader],
        Step::RewriteNvs(..) => &[Need::Loader, Need::NvsRead],
        Step::CollectEvidence { moment: Moment::AfterBoot, .. } | Step::EnterLoader => {
            &[Need::HasRun]
        }
        Step::Gate => &[Need::Evidence],
        Step::AwaitApplication | Step::ReadDeviceId(_) | Step::SearchLeftovers(_) => &[Need::Runs],
        Step::Dialogue(dialogue) => match dialogue.name {
            DialogueName::Status | DialogueName::Off => &[Need::RunsOnTrial],
            DialogueName::Provision | DialogueName::Wifi | DialogueName::FactoryReset => {
                &[Need::RunsToProvision]
            }
        },
        Step::Try | Step::SubmitPortal(_) | Step::AwaitFactoryFirmware(_) => {
            &[Need::RunsToProvision]
        }
        Step::AwaitJoin | Step::StayUp(_) | Step::Measure(_) => &[Need::RunsOnTrial],
        Step::AwaitTime
        | Step::AwaitConfiguration(_)
        | Step::AwaitCaCall(_)
        | Step::AwaitBroker => &[Need::Joined],
        Step::JudgeTest => &[Need::HasRun, Need::Evidence],
        Step::EraseTested(_) | Step::CollectEvidence { moment: Moment::Final, .. } => {
            &[Need::Loader, Need::Judged]
        }
        // What the test wrote is gone before anything of the final image is there.
        Step::WriteFinal(_) => &[Need::Loader, Need::Cleared],
        Step::Hold => &[Need::Loader, Need::Evidence],
        Step::Command(_)
        | Step::Alert(_)
        | Step::SeekPortal(_)
        | Step::OfferStranger
        | Step::Update(_) => &[Need::Connected],
    }
}

impl Standing {
    fn meets(self, need: Need) -> bool {
        match need {
            Need::Unknown => self.place == Place::Nowhere,
            Need::Known => self.place != Place::Nowhere,
            Need::Loader => self.place == Place::Loader,
            Need::HasRun => self.has_run,
            Need::Runs => self.place > Place::Loader,
            Need::RunsToProvision => self.place == Place::Runs(Purpose::Provisioning),
            Need::RunsOnTrial => self.place >= Place::Runs(Purpose::Trial),
            Need::Joined => self.place >= Place::Joined,
            Need::Connected => self.place == Place::Connected,
            Need::NvsRead => self.nvs_read,
            Need::Evidence => self.evidence,
            Need::Judged => self.judged,
            Need::Cleared => self.cleared,
        }
    }

    fn after(self, step: &Step) -> Self {
        let place = match step {
            Step::Identify
            | Step::EnterLoader
            | Step::SearchLeftovers(_)
            | Step::ReadFuses(_)
            | Step::CollectEvidence { .. } => Place::Loader,
            Step::Boot(purpose) => Place::Runs(*purpose),
            Step::Try => Place::Runs(Purpose::Trial),
            Step::AwaitJoin => Place::Joined,
            Step::AwaitBroker => Place::Connected,
            _ => self.place,
        };
        let before_boot = matches!(step, Step::CollectEvidence { moment: Moment::BeforeBoot, .. });
        let runs = matches!(step, Step::Boot(_));
        Self {
            place,
            has_run: self.has_run || matches!(step, Step::Boot(_)),
            nvs_read: self.nvs_read || matches!(step, Step::ReadNvs(_)),
            evidence: self.evidence || before_boot,
            // Whatever runs writes again, and may be other than what was judged.
            judged: (self.judged || matches!(step, Step::JudgeTest)) && !runs,
            cleared: (self.cleared || matches!(step, Step::EraseTested(_))) && !runs,
        }
    }
}

impl Need {
    fn words(self) -> &'static str {
        match self {
            Self::Unknown => "a unit that nobody knows yet",
            Self::Known => "a unit that is known",
            Self::Loader => "the loader",
            Self::HasRun => "a firmware that has run",
            Self::Runs => "a firmware that runs",
            Self::RunsToProvision => "a firmware that runs to be given its values",
            Self::RunsOnTrial => "a firmware that runs on trial",
            Self::Joined => "a unit in the network",
            Self::Connected => "a unit at its broker",
            Self::NvsRead => "an NVS partition that was read",
            Self::Evidence => "evidence",
            Self::Judged => "a unit that passed its test",
            Self::Cleared => "a flash without what the test wrote",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::{Scope, method},
        profile::{Part, Profile, find, list},
    };

    const SCOPES: [Scope; 6] = [
        Scope::Run,
        Scope::Provision,
        Scope::Check,
        Scope::Reprovision(Part::Wifi),
        Scope::Reprovision(Part::Certificate),
        Scope::FactoryReset,
    ];

    fn shipped() -> Vec<Profile> {
        let names = list(None).expect("the built-in ones need no folder");
        names.iter().map(|listed| listed.load().expect("a shipped profile")).collect()
    }

    /// Whether a profile has what the scope is about; the command line refuses it otherwise.
    fn has(profile: &Profile, scope: Scope) -> bool {
        let resets = profile.console.as_ref().is_some_and(|it| !it.factory_reset.is_empty());
        match scope {
            Scope::Reprovision(part) => profile.reprovision.contains_key(&part),
            Scope::FactoryReset => resets,
            Scope::Run | Scope::Provision | Scope::Check => true,
        }
    }

    #[test]
    fn every_shipped_profile_has_a_sound_order_in_every_scope() {
        let mut plans = 0;
        for profile in shipped() {
            for scope in SCOPES.into_iter().filter(|scope| has(&profile, *scope)) {
                let steps = Steps::new(method::steps(&profile, scope));
                assert!(steps.is_ok(), "{} {scope:?}: {:?}", profile.name, steps.err());
                plans += 1;
            }
        }
        assert!(plans > 30, "{plans} plans");
    }

    /// A profile need not ask for every check, nor have every service.
    #[test]
    fn a_profile_that_asks_for_less_has_a_sound_order_too() {
        let take: [fn(&mut Profile); 9] = [
            |profile| profile.time = None,
            |profile| profile.config_server = None,
            |profile| {
                if let Some(mqtt) = &mut profile.mqtt {
                    mqtt.command = None;
                }
            },
            |profile| {
                // What is said over the broker goes with it.
                (profile.mqtt, profile.alert, profile.ota) = (None, None, None);
            },
            |profile| {
                (profile.wifi, profile.mqtt, profile.alert, profile.ota) = (None, None, None, None);
                (profile.ca, profile.time, profile.config_server) = (None, None, None);
            },
            |profile| profile.alert = None,
            |profile| profile.ota = None,
            |profile| profile.registry = None,
            |profile| profile.ca = None,
        ];
        for profile in shipped() {
            let mut lesser: Vec<Profile> = Vec::new();
            for id in profile.checks.iter().map(|check| check.id) {
                let mut without = profile.clone();
                without.checks.retain(|check| check.id != id);
                lesser.push(without);
            }
            for take in take {
                let mut without = profile.clone();
                take(&mut without);
                lesser.push(without);
            }
            for without in lesser {
                for scope in SCOPES.into_iter().filter(|scope| has(&without, *scope)) {
                    let steps = Steps::new(method::steps(&without, scope));
                    assert!(steps.is_ok(), "{} {scope:?}: {:?}", without.name, steps.err());
                }
            }
        }
    }

    fn at(steps: &[Step], wanted: &str) -> Option<usize> {
        steps.iter().position(|step| step.name() == wanted)
    }

    /// What any order must keep, told without the rules above.
    fn keeps(steps: &[Step]) -> bool {
        let chain = ["identify", "boot", "wifi_join", "mqtt_connect"];
        let places: Vec<usize> = chain.iter().filter_map(|name| at(steps, name)).collect();
        let broker = at(steps, "mqtt_connect");
        let after_broker = ["mqtt_command", "test_alert", "server_trust", "ota_update"]
            .iter()
            .filter_map(|name| at(steps, name));
        let read = at(steps, "read_nvs");
        places.is_sorted()
            && at(steps, "identify") == Some(0)
            && after_broker.into_iter().all(|place| broker.is_some_and(|broker| broker < place))
            && at(steps, "rewrite_nvs").is_none_or(|place| read.is_some_and(|read| read < place))
            && at(steps, "gate")
                .is_none_or(|gate| at(steps, "read_back").is_some_and(|it| it < gate))
    }

    /// Every step is put at every other place, and every step is left out.
    #[test]
    fn a_step_at_a_wrong_place_is_refused() {
        let (mut refused, mut tried) = (0, 0);
        for profile in shipped() {
            for scope in SCOPES.into_iter().filter(|scope| has(&profile, *scope)) {
                let steps = method::steps(&profile, scope);
                for from in 0..steps.len() {
                    for to in 0..steps.len() {
                        let mut moved = steps.clone();
                        let step = moved.remove(from);
                        moved.insert(to, step);
                        let sound = keeps(&moved);
                        let accepted = Steps::new(moved).is_ok();
                        assert!(sound || !accepted, "{} {scope:?}: {from} to {to}", profile.name);
                        tried += 1;
                        refused += usize::from(!accepted);
                    }
                }
                for name in ["identify", "boot", "wifi_join", "mqtt_connect", "read_back"] {
                    let Some(place) = at(&steps, name) else { continue };
                    let mut without = steps.clone();
                    without.remove(place);
                    let last = place == without.len();
                    let needed = name != "boot" || scope != Scope::Provision;
                    let needed = needed && (name != "mqtt_connect" || profile.command().is_some());
                    assert!(last || !needed || Steps::new(without).is_err(), "{name} is missing");
                }
            }
        }
        assert!(refused * 4 > tried, "{refused} of {tried} were refused");
    }

    #[test]
    fn a_refused_order_says_which_step_and_why() {
        let profile = find("espvault", None).expect("a shipped profile");
        let mut steps = method::steps(&profile, Scope::Run);
        steps.reverse();
        let error = Steps::new(steps).expect_err("nothing comes before the read-back");
        assert_eq!(
            error.to_string(),
            "step 1, read_back_after_boot, cannot be done there: it needs a firmware that has run"
        );
    }
}
