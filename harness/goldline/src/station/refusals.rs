//! What a station does not do, however it is asked: found before anything is touched.
//!
//! Judges an order by what it says alone. Must not read a file or open anything.

use std::net::IpAddr;

use super::{chosen_network::ChosenNetwork, request::Request};
use crate::{
    plan::{Given, Scope},
    profile::{
        AppSource, Caller, CheckId, ConfigServer, Endpoint, EndpointPolicy, Method, Mqtt, Part,
        Profile, Redirect, StationFile, TimeServer, did_you_mean,
    },
    testbed::network::NetworkKind,
};

/// A question for the time carries no name.
const SAYS_NO_TIME: &str =
    "ask a time server, and their console does not say that they have the time";

/// Why an order is not carried out.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum Refusal {
    #[error("--retry-errors is for runs with a verdict that change no unit that is in use")]
    NoRetries,
    #[error("a real port needs its profile named")]
    NoProfile,
    #[error("the profile {profile} has no factory reset")]
    NoFactoryReset { profile: String },
    #[error("the profile {profile} has no part \"{}\" to give anew", .part.name())]
    NoSuchPart { profile: String, part: Part },
    #[error("\"{name}\" does not belong to the part \"{}\"", .part.name())]
    ForeignValue { name: String, part: Part, values: Vec<String> },
    #[error(
        "units of the profile {profile} hold what they are shipped with after their test, and are not started on a bench again, as {what} would"
    )]
    StartsAgain { profile: String, what: &'static str },
    #[error("the fault {fault} is for simulated units: what a real one is told would be false")]
    FaultOnRealPort { fault: String },
    #[error("--seed is for simulated units: nothing of a real one is decided by a number")]
    SeedOnRealPort,
    #[error("the fault {fault} is of a unit that is simulated in another process")]
    FaultElsewhere { fault: String },
    #[error("--seed is of a unit that is simulated in another process")]
    SeedElsewhere,
    #[error(
        "a unit that is simulated in another process does not hear the network {network}, which is in this one"
    )]
    NetworkOutOfReach { network: NetworkKind },
    #[error("the firmware model \"{model}\" runs in the simulator only")]
    Model { model: String },
    #[error(
        "the endpoint policy {} is for simulated units: a real one would ship pointing at the bench",
        EndpointPolicy::Bench.name()
    )]
    BenchOnRealPort,
    #[error("the network {network} is in this process: a real unit cannot reach it")]
    QcOnRealPort { network: NetworkKind },
    #[error(
        "units of the profile {profile} ask for the broker that they are shipped with, and nobody said by what right the bench answers a real one in its place"
    )]
    RedirectNotAccepted { profile: String },
    #[error(
        "a real unit would be shipped with what the bench's own {service} gave it, which knows no product"
    )]
    BenchServiceOnRealPort { service: &'static str, option: &'static str },
    #[error("--confirm-alert: no test alert is sent for the profile {profile}")]
    NoAlert { profile: String },
    #[error("the station file requires the radio to be proven, and the network {network} has none")]
    RadioRequired { network: NetworkKind },
    #[error("--replaces takes the place of one module: of one device, in run or provision")]
    ReplacesSeveral,
    #[error("--because gives no reason")]
    NoReason,
    #[error(
        "\"{name}\" is of the network's password, which would stand in the arguments of esp-emu, where every user of the machine can read it"
    )]
    PasswordInArguments { name: String },
    #[error(
        "the access point of esp-emu cannot hide its name, and that of the profile {profile} is hidden"
    )]
    NotHidden { profile: String },
    #[error("--without {name}: there is no such check{}", did_you_mean(name, CheckId::ALL.map(CheckId::name)))]
    NoSuchCheck { name: String },
    #[error("--without is for devices that cannot prove all of a profile: this one can prove {}", .check.name())]
    Provable { check: CheckId },
    #[error("{option} names a service that no unit of this order reaches, or is seen to reach")]
    ServiceOutOfReach { option: &'static str },
    #[error(
        "--broker {address}: a unit that a service on the Internet simulates does not reach an address of this machine or its network"
    )]
    BrokerOutOfReach { address: String },
    #[error(
        "units of the profile {profile} {what}: nobody on a site's network could tell whose that was"
    )]
    UnknowableOnSite { profile: String, what: &'static str },
    #[error(
        "units of the profile {profile} are to refuse a server before they say who they are: on a site's network nobody could tell which of {units} did"
    )]
    OneAtATimeOnSite { profile: String, units: usize },
    #[error("a golden is compared with a declared identity only")]
    GoldenOfOwnIdentity,
}

impl Refusal {
    /// What to do about it.
    pub fn action(&self) -> String {
        let fixed = match self {
            Self::ForeignValue { values, .. } => {
                return format!("it may change {}; every other value stays", values.join(", "));
            }
            Self::NoRetries => "leave it out, or choose goldline run or check",
            Self::NoProfile => {
                "name it: goldline run PROFILE --device URL; goldline profile list shows all"
            }
            Self::NoFactoryReset { .. } => {
                "describe its console lines in [[console.factory_reset]], or erase the unit and provision it anew"
            }
            Self::NoSuchPart { .. } => "name the values that it may change in [reprovision]",
            Self::StartsAgain { .. } => {
                "run it anew, with the values that it is to have: goldline run tests it and writes its final image"
            }
            Self::FaultOnRealPort { .. } => "leave --fault out, or choose --device simulator:",
            Self::SeedOnRealPort => "leave --seed out, or choose --device simulator:",
            Self::FaultElsewhere { .. } => {
                "give it to that process: goldline simulator serve --fault NAME"
            }
            Self::SeedElsewhere => "give it to that process: goldline simulator serve --seed N",
            Self::NetworkOutOfReach { .. } => {
                "goldline provision flashes it and reads it back; for its QC choose --network wire:ADDR here, and with goldline simulator serve"
            }
            Self::Model { .. } => {
                "name the product's own firmware in the profile: app = { file = \"build/app.elf\" }"
            }
            Self::BenchOnRealPort => "choose the policy redirected or test_then_final",
            Self::QcOnRealPort { .. } => {
                "choose --network nic:NAME, the interface of an access point or a switch that the unit is on, site, or wire:HOST:PORT; goldline provision flashes a real unit and reads it back without any"
            }
            Self::RedirectNotAccepted { .. } => {
                "name the broker that is there (--broker URL --broker-trust FILE), or put into [redirect] of the station file a certificate for that name from a CA that the unit trusts, with accept_redirect = \"because …\""
            }
            Self::BenchServiceOnRealPort { option, .. } => {
                return format!(
                    "name the product's own: {option} URL; goldline provision flashes a real unit without a verdict"
                );
            }
            Self::NoAlert { .. } => {
                "leave it out, or choose a profile with the check test_alert, and goldline run or check"
            }
            Self::ReplacesSeveral => "name one --device, and the module that it replaces",
            Self::NoReason => {
                "say why, for whoever reads the unit's story: --because \"burnt LDO\""
            }
            Self::Provable { .. } => "leave it out",
            Self::NoSuchCheck { .. } => {
                "name one of the profile's: goldline profile checklist PROFILE lists them"
            }
            Self::ServiceOutOfReach { .. } | Self::BrokerOutOfReach { .. } => {
                "leave it out, and go without what needs it: --without CHECK"
            }
            Self::UnknowableOnSite { what: SAYS_NO_TIME, .. } => {
                "let [time] of the profile say what the console prints then: expect = \"Time synchronized\"; or choose --network nic:NAME"
            }
            Self::OneAtATimeOnSite { .. } => {
                "test them one after the other; or choose --network nic:NAME, an interface that the bench has for itself"
            }
            Self::UnknowableOnSite { .. } => {
                "choose --network nic:NAME, an interface that the bench has for itself; or name the product's own service, where there is one (--ca, --config-server)"
            }
            Self::RadioRequired { network: NetworkKind::Site } => {
                "take radio = true out of [require]: how a unit came into a site's network only its console tells, and that is a claim"
            }
            Self::RadioRequired { network: NetworkKind::Nic } => {
                "name the socket of the hostapd that units come over, which knows their radios: hostapd = \"/run/hostapd/wlan1\" in [network] of the station file; or take radio = true out of [require]"
            }
            Self::RadioRequired { .. } => {
                "choose --network air, or take radio = true out of [require] where this is no line"
            }
            Self::PasswordInArguments { .. } => {
                "leave it out: the profile's sample is nobody's secret, and will do for an emulated network; or choose another device"
            }
            Self::NotHidden { .. } => {
                "choose another device, or a profile without hidden = true in [wifi]"
            }
            Self::GoldenOfOwnIdentity => {
                "leave out --golden, or --lot and further --device arguments"
            }
        };
        fixed.to_owned()
    }
}

/// What is only provisioned has no verdict, and a unit in use is changed once only, whatever comes of it.
pub(super) fn refuse_retries(scope: Scope, retries: u32) -> Result<(), Refusal> {
    match scope {
        Scope::Run | Scope::Check => Ok(()),
        _ if retries == 0 => Ok(()),
        _ => Err(Refusal::NoRetries),
    }
}

/// A unit that has its final image would start with it, and with the production's addresses, on a bench.
pub(super) fn refuse_starting_again(profile: &Profile, scope: Scope) -> Result<(), Refusal> {
    let what = match scope {
        _ if !profile.is_tested_then_finished() => return Ok(()),
        Scope::Run | Scope::Provision | Scope::Check => return Ok(()),
        Scope::Reprovision(_) => "reprovision",
        Scope::FactoryReset => "factory-reset",
    };
    Err(Refusal::StartsAgain { profile: profile.name.clone(), what })
}

/// What only a simulated unit can be told.
pub(super) fn refuse_simulation_on_real_port(
    fault: Option<&String>,
    seed: Option<u64>,
) -> Result<(), Refusal> {
    match (fault, seed) {
        (Some(fault), _) => Err(Refusal::FaultOnRealPort { fault: fault.clone() }),
        (None, Some(_)) => Err(Refusal::SeedOnRealPort),
        (None, None) => Ok(()),
    }
}

/// What runs nowhere but in the simulator.
pub(super) fn refuse_models(profile: &Profile) -> Result<(), Refusal> {
    match &profile.images.app {
        AppSource::Model { name } => Err(Refusal::Model { model: name.clone() }),
        AppSource::File(_) => Ok(()),
    }
}

/// What a real unit must never get: an address of the bench.
pub(super) fn refuse_bench_on_real_port(
    profile: &Profile,
    scope: Scope,
    network: NetworkKind,
) -> Result<(), Refusal> {
    if profile.mqtt.as_ref().is_some_and(|mqtt| mqtt.policy == EndpointPolicy::Bench) {
        return Err(Refusal::BenchOnRealPort);
    }
    let leads_outside = matches!(network, NetworkKind::Wire | NetworkKind::Nic | NetworkKind::Site);
    let is_started = match scope {
        Scope::Provision => false,
        Scope::Check => !profile.is_tested_then_finished(),
        Scope::Run | Scope::Reprovision(_) | Scope::FactoryReset => true,
    };
    if is_started && !leads_outside && profile.reaches_network() {
        return Err(Refusal::QcOnRealPort { network });
    }
    Ok(())
}

/// What a real unit that is judged would be shipped with: a broker's address that the bench answered for, what a
/// CA or a provisioning server of the bench's gave it.
pub(super) fn refuse_what_would_ship(
    profile: &Profile,
    scope: Scope,
    request: &Request,
    redirect: Option<&Redirect>,
) -> Result<(), Refusal> {
    // What is only provisioned has no verdict, and what is taken back is not shipped.
    if matches!(scope, Scope::Provision | Scope::FactoryReset) {
        return Ok(());
    }
    // What a unit fetched itself while it was tested goes with its test.
    let is_kept = |called_by| called_by == Caller::Bench || !profile.is_tested_then_finished();
    if profile.ca.as_ref().is_some_and(|ca| is_kept(ca.called_by)) && request.ca.is_none() {
        return Err(Refusal::BenchServiceOnRealPort { service: "CA", option: "--ca" });
    }
    if profile.provisioning_api.is_some() && request.config_server.is_none() {
        let (service, option) = ("provisioning server", "--config-server");
        return Err(Refusal::BenchServiceOnRealPort { service, option });
    }
    if profile.is_tested_then_finished() {
        return Ok(());
    }
    let accepted = redirect.is_some_and(|redirect| redirect.because.is_some());
    match profile.mqtt.is_some() && request.broker.is_none() && !accepted {
        true => Err(Refusal::RedirectNotAccepted { profile: profile.name.clone() }),
        false => Ok(()),
    }
}

/// What units do on a site's network without a word of who they are.
pub(super) fn refuse_unknowable_on_site(
    profile: &Profile,
    request: &Request,
    units: usize,
) -> Result<(), Refusal> {
    let calls_ca = profile.ca.as_ref().is_some_and(|ca| ca.called_by == Caller::Unit);
    let is_named_alike = |mqtt: &Mqtt| !profile.names_the_unit(&mqtt.client_id);
    let fetches_alike = |server: &ConfigServer| !profile.names_the_unit(&server.url);
    let says_no_time = |time: &TimeServer| time.expect.is_none();
    let has = |check: CheckId| profile.checks.iter().any(|spec| spec.id == check);
    let whats = [
        (calls_ca && request.ca.is_some(), "call their CA, which does not tell the bench"),
        (
            profile.config_server.as_ref().is_some_and(fetches_alike),
            "fetch their configuration all alike",
        ),
        (profile.time.as_ref().is_some_and(says_no_time), SAYS_NO_TIME),
        (
            has(CheckId::ServerTrust) && request.broker.is_some(),
            "are to refuse a server in the place of a broker that they go to by themselves",
        ),
        (
            profile.mqtt.as_ref().is_some_and(is_named_alike),
            "call themselves all alike at the broker",
        ),
    ];
    match whats.into_iter().find(|(is_so, _)| *is_so) {
        Some((_, what)) => Err(Refusal::UnknowableOnSite { profile: profile.name.clone(), what }),
        // Who breaks a handshake off says nothing; where there is one unit, its own log does.
        None if has(CheckId::ServerTrust) && units > 1 => {
            Err(Refusal::OneAtATimeOnSite { profile: profile.name.clone(), units })
        }
        None => Ok(()),
    }
}

/// What is wrong with a unit is told to the process that it is in.
pub(super) fn refuse_faults_elsewhere(
    fault: Option<String>,
    seed: Option<u64>,
) -> Result<(), Refusal> {
    match (fault, seed) {
        (Some(fault), _) => Err(Refusal::FaultElsewhere { fault }),
        (None, Some(_)) => Err(Refusal::SeedElsewhere),
        (None, None) => Ok(()),
    }
}

/// A unit that cannot join the bench's network would fail for nothing of its own.
pub(super) fn refuse_network_out_of_reach(
    profile: &Profile,
    scope: Scope,
    network: NetworkKind,
) -> Result<(), Refusal> {
    let is_in_process = matches!(network, NetworkKind::Air | NetworkKind::Cable);
    let needs_it = scope != Scope::Provision || profile.method == Method::Portal;
    match is_in_process && needs_it {
        true => Err(Refusal::NetworkOutOfReach { network }),
        false => Ok(()),
    }
}

/// The checks of these names.
pub(super) fn checks_named(names: &[String]) -> Result<Vec<CheckId>, Refusal> {
    let check = |name: &String| {
        let found = CheckId::ALL.into_iter().find(|check| check.name() == name);
        found.ok_or_else(|| Refusal::NoSuchCheck { name: name.clone() })
    };
    names.iter().map(check).collect()
}

/// Nothing is gone without where it can be proven.
pub(super) fn refuse_going_without(without: &[CheckId]) -> Result<(), Refusal> {
    match without.first() {
        Some(&check) => Err(Refusal::Provable { check }),
        None => Ok(()),
    }
}

/// A service that is named for units which run out of the bench's sight would be asked for nothing.
pub(super) fn refuse_services_out_of_reach(request: &Request) -> Result<(), Refusal> {
    if let Some(broker) = &request.broker {
        let address = broker.url.clone();
        return Err(match is_of_this_network(&address) {
            true => Refusal::BrokerOutOfReach { address },
            false => Refusal::ServiceOutOfReach { option: "--broker" },
        });
    }
    let named =
        [("--ca", request.ca.is_some()), ("--config-server", request.config_server.is_some())];
    match named.into_iter().find(|(_, is_named)| *is_named) {
        Some((option, _)) => Err(Refusal::ServiceOutOfReach { option }),
        None => Ok(()),
    }
}

/// Whether an address is this machine's or that of a private network, as far as its text tells.
fn is_of_this_network(url: &str) -> bool {
    let Ok(endpoint) = url.parse::<Endpoint>() else { return false };
    let host = endpoint.host();
    match host.parse() {
        Ok(IpAddr::V4(address)) => {
            address.is_loopback() || address.is_private() || address.is_link_local()
        }
        Ok(IpAddr::V6(address)) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
        Err(_) => host == "localhost" || host.ends_with(".local"),
    }
}

/// A line that ships units does not take less than their radio.
pub(super) fn refuse_unproven_radio(
    station: Option<&StationFile>,
    network: &ChosenNetwork,
) -> Result<(), Refusal> {
    match station.is_some_and(|station| station.requires_radio) && !network.proves().radio {
        true => Err(Refusal::RadioRequired { network: network.kind }),
        false => Ok(()),
    }
}

/// What the emulator's own access point is not to be told, or cannot be.
pub(super) fn refuse_what_esp_emu_cannot(
    profile: &Profile,
    given: &[Given],
) -> Result<(), Refusal> {
    let Some(wifi) = &profile.wifi else { return Ok(()) };
    if wifi.hidden {
        return Err(Refusal::NotHidden { profile: profile.name.clone() });
    }
    let of_others = wifi.password.symbols().find(|name| {
        let texts = given.iter().filter_map(|given| given.text(name));
        texts.into_iter().any(|text| !profile.declares(name, text.expose()))
    });
    match of_others {
        Some(name) => Err(Refusal::PasswordInArguments { name: name.to_owned() }),
        None => Ok(()),
    }
}

/// What a product has no way for, and values that another part of it owns.
pub(super) fn refuse_scope(
    profile: &Profile,
    scope: Scope,
    given: &[Given],
) -> Result<(), Refusal> {
    let console = profile.console.as_ref();
    match scope {
        Scope::FactoryReset if console.is_none_or(|console| console.factory_reset.is_empty()) => {
            Err(Refusal::NoFactoryReset { profile: profile.name.clone() })
        }
        Scope::Reprovision(part) => {
            let Some(values) = profile.reprovision.get(&part) else {
                return Err(Refusal::NoSuchPart { profile: profile.name.clone(), part });
            };
            let foreign =
                given.iter().flat_map(Given::set_names).find(|name| !values.contains(name));
            match foreign {
                Some(name) => Err(Refusal::ForeignValue { name, part, values: values.clone() }),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::find;

    /// The mock server's credentials are no account of anybody's.
    #[test]
    fn credentials_of_the_benchs_own_server_are_refused_to_a_real_unit() {
        let profile = find("ble-gateway", None).expect("it ships");
        let refused = |scope| refuse_what_would_ship(&profile, scope, &Request::default(), None);
        let refusal = refused(Scope::Run).expect_err("it would ship");
        assert!(refusal.to_string().contains("the bench's own provisioning server gave it"));
        assert!(refusal.action().contains("--config-server URL"), "{}", refusal.action());
        assert_eq!(refused(Scope::Provision), Ok(()));
    }

    /// A product of flash and NVS alone needs nothing that a real unit cannot reach.
    #[test]
    fn a_product_without_network_is_judged_on_a_real_port() {
        let mut profile = find("espvault", None).expect("it ships");
        profile.images.app = AppSource::File("build/app.bin".into());
        let refused = refuse_bench_on_real_port(&profile, Scope::Run, NetworkKind::Air);
        let network = NetworkKind::Air;
        assert_eq!(refused, Err(Refusal::QcOnRealPort { network }));
        for network in [NetworkKind::Nic, NetworkKind::Wire] {
            assert_eq!(refuse_bench_on_real_port(&profile, Scope::Run, network), Ok(()));
        }
        (profile.wifi, profile.mqtt) = (None, None);
        assert_eq!(refuse_bench_on_real_port(&profile, Scope::Run, NetworkKind::Air), Ok(()));
    }
}
