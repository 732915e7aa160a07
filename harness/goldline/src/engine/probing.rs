//! After a unit failed at a service, the bench does the same with the plan's values: its success is the
//! witness that blames the unit, its failure the testbed.
//!
//! This file says what is asked of a probe, from the plan; how it is asked stands in `bench::probe`.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use super::{Failure, medium::WayIn};
use crate::{
    bench::{
        Bench,
        probe::{
            BenchStation, BrokerProbe, CaProbe, ClientIdentity, ConfigProbe, Errand,
            PlannedNetwork, Session, TimeProbe, UpdateProbe, ask_the_time, download_update,
            fetch_configuration, hold_session, join_network, register_at_ca, report, run_errand,
        },
    },
    check::{Credential, ProbeReport, Service, Witness},
    client::ca::{Registrant, Terms},
    clock::Deadline,
    identity::Mac,
    plan::{BoundPlan, NotLearnt},
    profile::{Caller, Template},
    record::Code,
    testbed::{Testbed, TestbedError},
};

/// The bench is on the same machine; a service that takes longer is not sound.
const PROBE_LIMIT: Duration = Duration::from_secs(10);
/// What the bench calls itself at the broker, and in the certificate that it shows where one is asked for.
const WITNESS_ID: &str = "goldline-witness";
const WITNESS_VALIDITY: time::Duration = time::Duration::hours(1);
/// How long another unit's success tells of a broker.
const OTHER_UNIT_LIMIT: Duration = Duration::from_secs(60);

/// Which of the unit's messages did not arrive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Talk {
    /// The answer to a command.
    Command,
    /// The installer's alert.
    Alert,
    /// The report of an update.
    Update,
}

fn station(testbed: &Testbed) -> BenchStation {
    BenchStation::near(Arc::clone(&testbed.network))
}

fn planned_network(plan: &BoundPlan) -> Result<PlannedNetwork<'_>, NotLearnt> {
    let wifi = plan.wifi()?;
    Ok(PlannedNetwork { ssid: &wifi.ssid, passphrase: &wifi.password })
}

fn text(plan: &BoundPlan, template: &Template) -> Result<String, Failure> {
    Ok(plan.render(template)?.expose().to_owned())
}

/// Joins the planned network and gets an address; where units come over what the bench cannot go itself, asks who came.
pub(super) async fn at_network(
    testbed: &Testbed,
    plan: &BoundPlan,
    way_in: &WayIn,
) -> Result<Witness, Failure> {
    let ssid = plan.network_name();
    if let Some(seen) = testbed.network.sees_joins() {
        let tried = format!("give the emulator's access point the name {ssid}");
        let outcome = format!("the emulator was given the name {ssid} and the planned password");
        return Ok(Witness::of_probe(ProbeReport { tried, outcome: seen.map(|()| outcome) }));
    }
    let namesake = match way_in.namesake_came() {
        true => Some(
            "somebody came to the broker with what only this unit was given, while its own console speaks of no network: it is another unit with this identity"
                .to_owned(),
        ),
        false => namesake(testbed, plan),
    };
    if let Some(namesake) = namesake {
        let tried = "tell the unit from other stations".to_owned();
        return Ok(Witness::of_probe(ProbeReport { tried, outcome: Err(namesake) }));
    }
    let joined = Witness::of_probe(report(
        format!("join {ssid} with the planned password"),
        format!("joined {ssid} with the planned password and got an address"),
        join_network(&station(testbed), planned_network(plan)?).await,
    ));
    Ok(match testbed.network.medium() {
        Some(medium) if joined.is_sound() => way_in.over(medium).await,
        _ => joined,
    })
}

/// A station with another hardware address than the unit's that calls itself at the broker as the unit does: the unit
/// itself, with an address that does not follow from its chip's, or another that was given its identity.
fn namesake(testbed: &Testbed, plan: &BoundPlan) -> Option<String> {
    let client_id = &plan.broker().ok()?.client_id;
    let from = *testbed.broker.guests_called(client_id).first()?;
    let station = testbed.network.station_seen_as(from)?;
    let (id, _) = plan.bindings().redact(client_id);
    Some(format!(
        "the station {station} calls itself {id} at the broker, as this unit does, and has no address of the unit's chip: it is another unit with this identity, or the unit's interface has an address of its own"
    ))
}

/// Joins the planned network, connects to the planned broker, and sends a message there and back.
pub(super) async fn at_broker(
    testbed: &Testbed,
    plan: &BoundPlan,
    bench: &Bench,
    talk: Talk,
) -> Result<Witness, Failure> {
    if !has_a_certificate(plan, bench) {
        return another_unit(testbed, plan, bench);
    }
    let broker = plan.broker()?;
    let endpoint = &broker.endpoint;
    let id = witness_id();
    let (identity, trusted) = (identity(plan, bench, &id)?, bench.trusted());
    let probe = BrokerProbe {
        host: endpoint.host(),
        port: endpoint.port(),
        ca_pem: &trusted,
        credentials: Some((&broker.username, &broker.password)),
        client_id: &id,
        session: Session::Clean,
        client_certificate: identity.as_ref(),
        subscriptions: &broker.subscriptions,
    };
    let outcome = match testbed.broker.lost() {
        Some(reason) => Err(reason),
        None => there_and_back(testbed, plan, &probe, talk).await?,
    };
    let done = format!(
        "connected to {endpoint} with the planned credentials and sent a message there and back"
    );
    Ok(Witness::of_probe(ProbeReport {
        tried: format!("use {endpoint} with the planned credentials"),
        outcome: outcome.map(|()| done),
    }))
}

/// Whether the bench can show at the broker what the unit itself shows there.
pub(super) fn may_hold_as_unit(plan: &BoundPlan, bench: &Bench) -> bool {
    has_a_certificate(plan, bench)
}

/// Connects to the planned broker as the unit, which must be held in reset, and stays: after which time
/// another client took the session. The report is of an attempt that came to no connection.
pub(super) async fn hold_as_unit(
    testbed: &Testbed,
    plan: &BoundPlan,
    bench: &Bench,
    hold: Duration,
) -> Result<Result<Option<Duration>, ProbeReport>, Failure> {
    let broker = plan.broker()?;
    let endpoint = &broker.endpoint;
    let (identity, trusted) = (identity(plan, bench, &broker.client_id)?, bench.trusted());
    let probe = BrokerProbe {
        host: endpoint.host(),
        port: endpoint.port(),
        ca_pem: &trusted,
        credentials: Some((&broker.username, &broker.password)),
        client_id: &broker.client_id,
        session: Session::Kept,
        client_certificate: identity.as_ref(),
        subscriptions: &[],
    };
    let (station, network) = (station(testbed), planned_network(plan)?);
    let deadline = Deadline::after(hold + PROBE_LIMIT);
    let held = hold_session(&station, network, &probe, hold, deadline).await;
    Ok(held.map_err(|error| ProbeReport {
        tried: format!("use {endpoint} as the unit itself"),
        outcome: Err(error.to_string()),
    }))
}

/// What a unit of this plan shows at its broker.
pub(super) fn credential(plan: &BoundPlan) -> Result<Credential, Failure> {
    let broker = plan.broker()?;
    Ok(match broker.password.expose() {
        _ if plan.profile().shows_certificate() => Credential::Certificate,
        "" if broker.username.is_empty() => Credential::None,
        _ => Credential::Password,
    })
}

/// A broker of others that asks for certificates of a CA of others takes none that the bench can make.
fn has_a_certificate(plan: &BoundPlan, bench: &Bench) -> bool {
    let asked = plan.profile().shows_certificate() && bench.external_ca().is_some();
    let own = bench.external_broker().map(|broker| broker.identity.is_some());
    !asked || own.unwrap_or(true)
}

/// Where the bench cannot repeat what the unit did: a success since the unit first failed there.
fn another_unit(testbed: &Testbed, plan: &BoundPlan, bench: &Bench) -> Result<Witness, Failure> {
    if let Some(fault) = testbed.network.fault() {
        let tried = format!("use {}", plan.broker_name());
        return Ok(Witness::of_probe(ProbeReport { tried, outcome: Err(fault) }));
    }
    let failed = testbed.broker.unit_connections();
    let failed = failed.iter().find(|connection| !connection.is_accepted());
    let credential = credential(plan)?;
    let success = failed.and_then(|failed| {
        bench.successes().of_another(
            plan.bindings().mac()?,
            Service::Broker,
            credential,
            failed.opened,
        )
    });
    let witness = success.and_then(|success| {
        Witness::of_other_unit(&success, Service::Broker, credential, OTHER_UNIT_LIMIT)
    });
    Ok(witness.unwrap_or_else(|| {
        Witness::of_probe(ProbeReport {
            tried: format!("use {}", plan.broker_name()),
            outcome: Err("it has no certificate of the CA that is already there; give it one \
                          with --broker-identity"
                .to_owned()),
        })
    }))
}

/// Registers at the CA as the unit does.
pub(super) async fn at_ca(
    testbed: &Testbed,
    plan: &BoundPlan,
    bench: &Bench,
    mac: Mac,
) -> Result<Witness, Failure> {
    let profile = plan.profile();
    let spec = profile.ca.as_ref().ok_or(Failure::NotOffered("CA"))?;
    let (uuid, device_type) = (text(plan, &spec.uuid)?, text(plan, &spec.device_type)?);
    let psk = plan.render(&spec.psk)?.as_secret().clone();
    let (url, trusted) = (text(plan, &spec.url)?, bench.trusted());
    let probe = CaProbe {
        url: &url,
        trusted: &trusted,
        registrant: Registrant { uuid: &uuid, psk: &psk, mac, device_type: &device_type },
        terms: Terms {
            production: spec.production,
            signing_request: spec.signing_request,
            minimum_validity: spec.minimum_validity,
            trusted_roots: Some(bench.authority().root_pem()),
            clock: bench.clock().clone(),
        },
    };
    let (station, deadline) = (station(testbed), Deadline::after(PROBE_LIMIT));
    Ok(Witness::of_probe(report(
        format!("register the unit at {url}"),
        format!("registered the unit at {url}"),
        register_at_ca(&station, planned_network(plan)?, &probe, deadline).await,
    )))
}

/// Fetches the unit's configuration.
pub(super) async fn at_config_server(
    testbed: &Testbed,
    plan: &BoundPlan,
    bench: &Bench,
) -> Result<Witness, Failure> {
    let server = plan.profile().config_server.as_ref();
    let server = server.ok_or(Failure::NotOffered("config server"))?;
    let (url, mqtt_host) = (text(plan, &server.url)?, text(plan, &server.mqtt_host)?);
    let trusted = bench.trusted();
    let probe = ConfigProbe { url: &url, trusted: &trusted, mqtt_host: &mqtt_host };
    let (station, deadline) = (station(testbed), Deadline::after(PROBE_LIMIT));
    Ok(Witness::of_probe(report(
        format!("fetch {url}"),
        format!("fetched {url}"),
        fetch_configuration(&station, planned_network(plan)?, &probe, deadline).await,
    )))
}

/// Asks for the time.
pub(super) async fn at_time_server(
    testbed: &Testbed,
    plan: &BoundPlan,
    bench: &Bench,
) -> Result<Witness, Failure> {
    let time = plan.profile().time.as_ref();
    let time = time.ok_or(Failure::NotOffered("time server"))?;
    let host = text(plan, &time.server)?;
    let probe = TimeProbe { host: &host, port: time.port, clock: bench.clock().clone() };
    let (station, deadline) = (station(testbed), Deadline::after(PROBE_LIMIT));
    Ok(Witness::of_probe(report(
        format!("get the time from {host}"),
        format!("got the right time from {host}"),
        ask_the_time(&station, planned_network(plan)?, &probe, deadline).await,
    )))
}

/// Downloads an update from where the unit was told to get it.
pub(super) async fn at_update_server(
    testbed: &Testbed,
    plan: &BoundPlan,
    bench: &Bench,
    url: &str,
    image: &[u8],
) -> Result<Witness, Failure> {
    let trusted = bench.trusted();
    let probe = UpdateProbe { url, trusted: &trusted, image };
    let (station, deadline) = (station(testbed), Deadline::after(PROBE_LIMIT));
    Ok(Witness::of_probe(report(
        "download the update",
        "downloaded the update whole",
        download_update(&station, planned_network(plan)?, &probe, deadline).await,
    )))
}

/// Uses one service after the other: the first that is not sound, else the last that is; with the code of
/// such a service that is not.
pub(super) async fn at_each(
    testbed: &Testbed,
    plan: &BoundPlan,
    bench: &Bench,
    (mac, way_in): (Mac, &WayIn),
) -> Result<(Code, Witness), Failure> {
    let profile = plan.profile();
    let network = match testbed.network.proves().radio {
        true => Code::TestbedAccessPoint,
        false => Code::TestbedNetwork,
    };
    if profile.wifi.is_none() {
        let (tried, outcome) =
            ("reach nothing".to_owned(), Ok("nothing must be reached".to_owned()));
        return Ok((network, Witness::of_probe(ProbeReport { tried, outcome })));
    }
    let mut asked = (network, at_network(testbed, plan, way_in).await?);
    if asked.1.is_sound() && profile.time.is_some() {
        asked = (Code::TestbedTime, at_time_server(testbed, plan, bench).await?);
    }
    if asked.1.is_sound() && profile.config_server.is_some() {
        asked = (Code::TestbedConfigServer, at_config_server(testbed, plan, bench).await?);
    }
    let calls_ca = profile.ca.as_ref().is_some_and(|ca| ca.called_by == Caller::Unit);
    if asked.1.is_sound() && calls_ca {
        asked = (Code::TestbedCa, at_ca(testbed, plan, bench, mac).await?);
    }
    if asked.1.is_sound() && profile.mqtt.is_some() {
        asked = (Code::TestbedBroker, at_broker(testbed, plan, bench, Talk::Command).await?);
    }
    Ok(asked)
}

/// Of this probe only, so that no two take each other's session over; as long as any broker allows (MQTT
/// 3.1.1, 3.1.3.1).
fn witness_id() -> String {
    let unique = Uuid::new_v4().simple().to_string();
    format!("{WITNESS_ID}-{}", &unique[..6])
}

/// What the bench shows where a certificate is asked for.
fn identity(plan: &BoundPlan, bench: &Bench, id: &str) -> Result<Option<ClientIdentity>, Failure> {
    let own = bench.external_broker().and_then(|broker| broker.identity.as_ref());
    if let Some(pem) = own {
        return Ok(Some(ClientIdentity { chain: pem.expose().to_owned(), key: pem.clone() }));
    }
    if !plan.profile().shows_certificate() {
        return Ok(None);
    }
    let issued = bench.authority().issue_device(id, WITNESS_VALIDITY);
    Ok(Some(issued.map_err(TestbedError::from)?.into()))
}

/// The bench stands in for the unit: it must hear the bench's own client where the unit hears, and be heard
/// where the unit says what did not arrive.
async fn there_and_back(
    testbed: &Testbed,
    plan: &BoundPlan,
    probe: &BrokerProbe<'_>,
    talk: Talk,
) -> Result<Result<(), String>, Failure> {
    let broker = &testbed.broker;
    let deadline = Deadline::after(PROBE_LIMIT);
    let (hears, says) = topics(plan, talk)?;
    let text = format!("{WITNESS_ID} {}", Uuid::new_v4().simple());
    let publish = || {
        // What does not arrive is found missing.
        let _sent = broker.publish(&hears, text.as_bytes());
    };
    let errand = Errand { hears: &hears, says: &says, text: &text, ready: &publish };
    let (station, network) = (station(testbed), planned_network(plan)?);
    if let Err(error) = run_errand(&station, network, probe, &errand, deadline).await {
        return Ok(Err(error.to_string()));
    }
    let heard = broker.wait_for(deadline, |connection| {
        let mut messages = connection.published.iter().map(|(_, message)| message);
        messages.find(|message| message.topic == says && message.payload == text.as_bytes())?;
        Some(())
    });
    Ok(heard.await.map_err(|_| {
        format!("what the planned user says on {says} does not reach the bench's own client")
    }))
}

/// Where the unit hears, and where it says what is asked for. A product without a command has a topic that
/// only the bench uses.
fn topics(plan: &BoundPlan, talk: Talk) -> Result<(String, String), Failure> {
    let profile = plan.profile();
    let command = profile.command();
    let (hears, says) = match talk {
        Talk::Command => (None, None),
        Talk::Alert => (None, profile.alert.as_ref().map(|alert| &alert.topic)),
        Talk::Update => {
            let ota = profile.ota.as_ref();
            (ota.map(|ota| &ota.topic), ota.map(|ota| &ota.report_topic))
        }
    };
    let hears = hears.or(command.map(|command| &command.topic));
    let says = says.or(command.map(|command| &command.reply_topic));
    let own = format!("{WITNESS_ID}/{}", Uuid::new_v4().simple());
    let topic = |template: Option<&Template>| {
        template.map_or_else(|| Ok(own.clone()), |template| text(plan, template))
    };
    Ok((topic(hears)?, topic(says)?))
}
