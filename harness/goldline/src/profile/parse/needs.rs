//! Which sections a method and a check cannot be without.

use std::ops::Range;

use super::Problems;
use crate::profile::{
    Caller, CheckId, ConsoleSpec, DialogueName, Feature, Method, NvsKeyScheme, Profile,
    problem::Problem,
    raw::{At, RawCa, RawConsole, RawProfile},
};

/// One of these shows that a unit runs with its fuses as they are.
const PROVES_THAT_IT_RUNS: [CheckId; 4] =
    [CheckId::MqttConnect, CheckId::WifiJoin, CheckId::NetworkJoin, CheckId::Start];

const OTA: &str = "[ota]";
const ALERT: &str = "[alert]";
const MEASURED: &str = "measure of [[console.status]]";
const CALLED_CA: &str = "[ca] with called_by = \"unit\"";

/// Where to point when a section is missing: at whoever needs it.
pub(super) struct Places {
    method: Range<usize>,
    scheme: Option<Range<usize>>,
    checks: Vec<(String, Range<usize>)>,
    policy: Option<Range<usize>>,
    /// Sections of what a unit reaches over its network.
    services: Vec<(&'static str, Range<usize>)>,
}

impl Places {
    pub(super) fn of(raw: &RawProfile) -> Self {
        let checks = raw.check.get_ref().iter();
        let service = |section, at: Option<Range<usize>>| at.map(|at| (section, at));
        let services = [
            service("[mqtt]", raw.mqtt.as_ref().map(|raw| raw.endpoint.span())),
            service("[time]", raw.time.as_ref().map(|raw| raw.server.span())),
            service("[config_server]", raw.config_server.as_ref().map(|raw| raw.url.span())),
            service(OTA, raw.ota.as_ref().map(|raw| raw.topic.span())),
            service(ALERT, raw.alert.as_ref().map(|raw| raw.topic.span())),
            service(MEASURED, raw.console.as_ref().and_then(measured)),
            service(CALLED_CA, raw.ca.as_ref().and_then(called_by_unit)),
        ];
        Self {
            method: raw.method.span(),
            policy: raw.mqtt.as_ref().map(|raw| raw.policy.span()),
            scheme: raw.nvs.encryption.as_ref().map(|raw| raw.scheme.span()),
            checks: checks.map(|check| (check.id.get_ref().clone(), check.id.span())).collect(),
            services: services.into_iter().flatten().collect(),
        }
    }
}

impl Problems {
    pub(super) fn needs(&mut self, profile: &Profile, places: &Places) {
        for section in missing_for_method(profile) {
            let method = profile.method.name();
            self.push(places.method.clone(), Problem::MethodNeeds { method, section });
        }
        for check in &profile.checks {
            let Some(section) = missing_for_check(profile, check.id) else { continue };
            let id = check.id.name();
            self.push(places.check(id), Problem::CheckNeeds { id, section });
        }
        self.two_sets_of_values(profile, places.policy.as_ref().unwrap_or(&places.method));
        self.sections_of_services(profile, places);
        self.lacks_of_the_chip(profile, places);
    }

    /// What is reached over a network needs one, and what is said over the broker needs that.
    fn sections_of_services(&mut self, profile: &Profile, places: &Places) {
        for (section, at) in &places.services {
            let has_status =
                || profile.checks.iter().any(|check| check.id == CheckId::ConsoleStatus);
            if *section == MEASURED {
                if !has_status() {
                    let needed = "the check console_status, which judges it";
                    self.push(at.clone(), Problem::SectionNeeds { section, needed });
                }
                continue;
            }
            let over_broker = [OTA, ALERT].contains(section);
            let needed = match () {
                () if over_broker && profile.mqtt.is_none() => "[mqtt]",
                () if profile.wifi.is_none() => "[wifi]",
                () => continue,
            };
            self.push(at.clone(), Problem::SectionNeeds { section, needed });
        }
    }

    /// What the product wants and its chip cannot do.
    fn lacks_of_the_chip(&mut self, profile: &Profile, places: &Places) {
        let chip = profile.chip;
        let mut want = |feature, needed_by, instead, place: Range<usize>| {
            if !chip.has(feature) {
                self.push(place, Problem::ChipLacks { chip, feature, needed_by, instead });
            }
        };
        let wifi_join = CheckId::WifiJoin;
        if profile.checks.iter().any(|check| check.id == wifi_join) {
            let instead = "check network_join, which a unit on a cable passes too";
            want(Feature::Wifi, "the check wifi_join", instead, places.check(wifi_join.name()));
        }
        if profile.method == Method::Portal {
            let instead = "choose a method without a network of the unit's own";
            want(Feature::Wifi, "the method portal", instead, places.method.clone());
        }
        let encryption = profile.nvs.encryption.as_ref();
        if encryption.is_some_and(|encryption| encryption.scheme == NvsKeyScheme::Hmac) {
            let place = places.scheme.clone().unwrap_or(places.method.clone());
            want(Feature::Hmac, "the scheme hmac", "choose the scheme nvs_keys", place);
        }
    }
}

impl Places {
    fn check(&self, id: &str) -> Range<usize> {
        let place = self.checks.iter().find(|(name, _)| name == id);
        place.map_or(self.method.clone(), |(_, place)| place.clone())
    }
}

fn missing_for_method(profile: &Profile) -> Vec<&'static str> {
    let ca = profile.ca.as_ref().is_some_and(|ca| ca.called_by == Caller::Bench);
    let provision = has_dialogue(profile, DialogueName::Provision);
    let needs: &[(&'static str, bool)] = match profile.method {
        Method::FactoryImage => &[],
        Method::CaRegistration => &[("[ca] with called_by = \"bench\"", ca)],
        Method::Console => &[("[[console.provision]]", provision)],
        Method::Portal => &[("[portal]", profile.portal.is_some())],
        Method::FactoryFirmware => &[("[factory]", profile.factory.is_some())],
    };
    needs.iter().filter(|(_, there)| !there).map(|(section, _)| *section).collect()
}

fn missing_for_check(profile: &Profile, check: CheckId) -> Option<&'static str> {
    let console = profile.console.as_ref();
    let (section, there) = match check {
        CheckId::DeviceId => {
            ("[console.device_id]", console.is_some_and(|console| console.device_id.is_some()))
        }
        CheckId::FactoryReset => {
            ("[[console.factory_reset]]", has_dialogue(profile, DialogueName::FactoryReset))
        }
        CheckId::ConsoleStatus => {
            ("[[console.status]]", has_dialogue(profile, DialogueName::Status))
        }
        CheckId::InterfaceOff => {
            let wanted = profile.interface_off.as_ref();
            if wanted.is_some_and(|off| off.portal) && profile.mqtt.is_none() {
                return Some("[mqtt], for the portal is looked for once the unit is at its broker");
            }
            let portal = wanted.is_some_and(|off| off.portal) && profile.portal.is_some();
            let asks = wanted.is_some() && has_dialogue(profile, DialogueName::Off);
            (
                "[interface_off] with portal = true and [portal], or with [[console.off]]",
                portal || asks,
            )
        }
        CheckId::SecurityState => {
            if profile.security.is_none() {
                return Some("[security]");
            }
            let joins = profile.checks.iter().any(|check| PROVES_THAT_IT_RUNS.contains(&check.id));
            (
                "[[check]] mqtt_connect, wifi_join, network_join or start, which shows that the unit runs so",
                joins,
            )
        }
        CheckId::RegistryRecord => ("[registry]", profile.registry.is_some()),
        CheckId::TimeSync => ("[time]", profile.time.is_some()),
        CheckId::RemoteConfig => ("[config_server]", profile.config_server.is_some()),
        CheckId::CaRegistration => ("[ca]", profile.ca.is_some()),
        CheckId::TestAlert => {
            ("[alert] and [console]", profile.alert.is_some() && console.is_some())
        }
        CheckId::OtaUpdate => ("[ota]", profile.ota.is_some()),
        CheckId::WifiJoin | CheckId::NetworkJoin => ("[wifi]", profile.wifi.is_some()),
        CheckId::MqttConnect | CheckId::ServerTrust => ("[mqtt]", profile.mqtt.is_some()),
        CheckId::FlashIntegrity
        | CheckId::NvsReadback
        | CheckId::Start
        | CheckId::Command
        | CheckId::SecretHygiene => return None,
    };
    (!there).then_some(section)
}

fn measured(console: &RawConsole) -> Option<Range<usize>> {
    console.status.iter().find_map(|line| line.measure.as_ref()).map(At::span)
}

fn called_by_unit(ca: &RawCa) -> Option<Range<usize>> {
    (ca.called_by.get_ref() == "unit").then(|| ca.called_by.span())
}

fn has_dialogue(profile: &Profile, name: DialogueName) -> bool {
    let lines = |console: &ConsoleSpec| !console.dialogue(name).is_empty();
    profile.console.as_ref().is_some_and(lines)
}
