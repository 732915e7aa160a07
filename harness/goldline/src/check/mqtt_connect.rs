//! TLS, identity, credentials, subscriptions, and a command that comes back.
//!
//! The broker's own record is the evidence; what the unit calls itself there is a claim to compare. Of a
//! broker that is already there the bench is a client: then the unit's answer to a command is the evidence,
//! and what only the broker sees is said to be unseen, and not judged.

use std::net::SocketAddr;

use super::{
    BrokerObservation, Certificates, Finding, LogFacts, Observations, Observer, Refusal, SOON_DAYS,
    conduct, limits,
};
use crate::{
    plan::{BoundBroker, BoundPlan, SaltAge},
    profile::{CheckSpec, Endpoint, Host},
    record::{Code, Measurement},
};

/// What mbedTLS prints, and what its alert is called, when a certificate's time is not now.
const OUT_OF_TIME: [&str; 3] =
    ["validity starts in the future", "validity has expired", "CertificateExpired"];
const OF_BROKER: Certificates = Certificates {
    measurement: "broker_certificate_days",
    whose: "the broker's certificate",
    fault: Code::TestbedBroker,
    action: "renew the certificate that ends first on the broker, or its CA, and test the unit again",
};
const SET_THE_CLOCK: &str = "check how the firmware gets the time (SNTP server, clock battery): its clock lies outside of the validity of a certificate that is valid now";

pub(super) fn judge(spec: &CheckSpec, plan: &BoundPlan, seen: &Observations) -> Finding {
    let (Some(broker), Ok(planned)) = (&seen.broker, plan.broker()) else {
        return Finding::not_run();
    };
    let mut finding = Finding::ran();
    judge_salt(plan, &mut finding);
    if let Some(ms) = broker.rival_after_ms {
        blame_rival(plan, planned, (ms, broker), seen.console.facts(), &mut finding);
    } else if broker.accepted {
        match broker.observer {
            Observer::Broker => {
                compare_identity(plan, planned, broker, &mut finding);
                compare_subscriptions(planned, broker, &mut finding);
                conduct::judge(plan, planned, broker, &mut finding);
            }
            Observer::Client => say_what_a_client_sees(plan, planned, broker, &mut finding),
        }
        measure(spec, plan, broker, &mut finding);
    } else {
        explain(plan, broker, seen.console.facts(), &mut finding);
    }
    finding
}

/// A broker that knows the unit's password still may not know it tomorrow.
fn judge_salt(plan: &BoundPlan, finding: &mut Finding) {
    let api = plan.profile().provisioning_api.as_ref();
    let planned = api.and_then(|api| api.password.as_ref());
    let held = plan.bindings().get("issued.mqtt_password");
    let Some((planned, held)) = planned.zip(held) else { return };
    match plan.bindings().salt_of(planned, held.as_secret()) {
        Some(SaltAge::Current) => {}
        Some(SaltAge::Previous) => finding.evidence.push(
            "the unit's MQTT password is of the previous salt: provision it again before that one is retired"
                .to_owned(),
        ),
        None => finding.fail(
            Code::MqttSaltRetired,
            "the unit's MQTT password is of a salt that is not valid any more: neither the one in force makes it, nor one that the station file names under [previous]",
        ),
    }
}

/// Two clients of one id put each other out, and only one of them is this unit.
fn blame_rival(
    plan: &BoundPlan,
    planned: &BoundBroker,
    (after_ms, broker): (u64, &BrokerObservation),
    facts: &LogFacts,
    finding: &mut Finding,
) {
    let (id, _) = plan.bindings().redact(&planned.client_id);
    let says = match facts.sessions {
        0 => String::new(),
        times => format!("; the unit's log says {times} times that it is connected"),
    };
    let did = match broker.on_site && broker.observer == Observer::Broker {
        true => "came",
        false => "put the bench out",
    };
    finding.error(
        Code::TestbedIdentityInUse,
        format!(
            "another client uses the id {id} at {}: it {did} after {after_ms} ms, while the unit was held in reset{says}",
            plan.broker_name()
        ),
    );
}

/// The broker admitted whoever answers on this unit's topics, and it came by way of this bench.
fn say_what_a_client_sees(
    plan: &BoundPlan,
    planned: &BoundBroker,
    broker: &BrokerObservation,
    finding: &mut Finding,
) {
    match broker.on_site {
        true => finding.evidence.push(
            "the unit went to the broker over the site's network: by which name was not seen"
                .to_owned(),
        ),
        false => judge_where(&planned.endpoint, broker, finding),
    }
    let unseen =
        "the broker is not the bench's: client id, user name and TLS version were not seen";
    finding.evidence.push(unseen.to_owned());
    if broker.broken_off > 0 {
        let times = broker.broken_off;
        finding.evidence.push(format!("the broker ended {times} of the unit's connections"));
    }
    let command = plan.profile().command().and_then(|command| {
        let topic = plan.render(&command.topic).ok()?;
        broker.round_trip_ms.map(|_| topic.expose().to_owned())
    });
    for filter in &planned.subscriptions {
        finding.evidence.push(match command.as_ref() == Some(filter) {
            true => format!("subscribed to {filter}: it answered what was sent there"),
            false => format!("whether it subscribed to {filter} was not seen here"),
        });
    }
}

/// Where the unit went. Its server name carries a name without its dot, and no address (RFC 6066, section
/// 3), though mbedTLS sends one.
fn judge_where(planned: &Endpoint, broker: &BrokerObservation, finding: &mut Finding) {
    if planned.at().is_dotted() {
        finding.evidence.push(format!(
            "{planned}: mbedTLS compares the dot too, so the broker's certificate must name it so"
        ));
    }
    let asked = broker.server_name.as_deref();
    let measured = match planned.at().address() {
        None => judge_name(planned.at(), asked, finding),
        Some(address) => {
            if let Some(asked) = asked.filter(|asked| !is(planned.at(), asked)) {
                differs("server name", asked, &format!("the address {address}"), finding);
            }
            judge_address(SocketAddr::new(address, planned.port()), broker, finding)
        }
    };
    finding.measure(Code::MqttIdentityDiffers, [measured]);
}

fn judge_name(planned: &Host, asked: Option<&str>, finding: &mut Finding) -> Measurement {
    if !asked.is_some_and(|asked| is(planned, asked)) {
        differs("server name", asked.unwrap_or("missing"), planned.as_str(), finding);
    }
    let canonical = planned.canonical();
    let found = asked.map(|asked| match is(planned, asked) {
        true => canonical.as_str(),
        false => asked,
    });
    Measurement::word("server_name", found, &canonical)
}

fn judge_address(
    planned: SocketAddr,
    broker: &BrokerObservation,
    finding: &mut Finding,
) -> Measurement {
    let found = broker.connected_to.iter().find(|to| **to == planned);
    if found.is_none() {
        let others: Vec<String> = broker.connected_to.iter().map(SocketAddr::to_string).collect();
        let others = if others.is_empty() { "nowhere".to_owned() } else { others.join(", ") };
        differs("connection", &format!("to {others}"), &format!("to {planned}"), finding);
    }
    Measurement::fact("address", found.map(SocketAddr::to_string).as_deref())
}

fn is(planned: &Host, asked: &str) -> bool {
    asked.parse::<Host>().is_ok_and(|asked| asked == *planned)
}

fn differs(what: &str, found: &str, planned: &str, finding: &mut Finding) {
    let message = format!("the unit's {what} is {found}, planned is {planned}");
    finding.fail(Code::MqttIdentityDiffers, message);
}

fn compare_identity(
    plan: &BoundPlan,
    planned: &BoundBroker,
    broker: &BrokerObservation,
    finding: &mut Finding,
) {
    for (what, found, planned) in [
        ("client id", &broker.client_id, planned.client_id.as_str()),
        ("user name", &broker.username, planned.username.as_str()),
    ] {
        if found.as_deref() != Some(planned) {
            differs(what, found.as_deref().unwrap_or("missing"), planned, finding);
        }
    }
    let tls = broker.tls_version.as_deref();
    finding.measure(
        Code::MqttIdentityDiffers,
        [
            Measurement::word("client_id", broker.client_id.as_deref(), &planned.client_id),
            Measurement::word("username", broker.username.as_deref(), &planned.username),
        ],
    );
    judge_where(&planned.endpoint, broker, finding);
    let sound = tls.filter(|tls| ["TLSv1.2", "TLSv1.3"].contains(tls));
    finding.measure(Code::MqttIdentityDiffers, [Measurement::fact("tls_version", sound)]);
    if plan.profile().shows_certificate() {
        let certificate = broker.client_certificate.as_deref();
        finding.measure(
            Code::MqttIdentityDiffers,
            [Measurement::fact("client_certificate", certificate)],
        );
    }
}

fn compare_subscriptions(planned: &BoundBroker, broker: &BrokerObservation, finding: &mut Finding) {
    for filter in &planned.subscriptions {
        if broker.subscriptions.contains(filter) {
            finding.evidence.push(format!("subscribed to {filter}"));
        } else {
            let found = match broker.subscriptions.as_slice() {
                [] => "nothing".to_owned(),
                filters => filters.join(", "),
            };
            finding.fail_with_witness(
                Code::MqttSubscriptionMissing,
                Code::TestbedBroker,
                format!("the unit did not subscribe to {filter}; it subscribed to {found}"),
                broker.witness.as_ref(),
            );
        }
    }
}

fn measure(spec: &CheckSpec, plan: &BoundPlan, broker: &BrokerObservation, finding: &mut Finding) {
    let connect = Measurement::number(
        "connect_ms",
        broker.connected_after_ms.map(|ms| ms as f64),
        "ms",
        limits(spec, "connect_ms"),
    );
    finding.measure(Code::MqttOutOfLimits, [connect]);
    finding.measure_remaining(spec, &OF_BROKER, broker.broker_certificate.as_ref());
    if plan.profile().shows_certificate() {
        measure_own_certificate(spec, broker, finding);
    }
    if plan.profile().command().is_none() {
        return;
    }
    if broker.round_trip_ms.is_none() {
        let message = match &broker.wrong_answer {
            Some(wrong) => format!("the answer to the command is not the expected one: {wrong}"),
            None => "the unit gave no answer to the command".to_owned(),
        };
        finding.fail_with_witness(
            Code::MqttCommandUnanswered,
            Code::TestbedBroker,
            message,
            broker.witness.as_ref(),
        );
    }
    let round_trip = Measurement::number(
        "round_trip_ms",
        broker.round_trip_ms.map(|ms| ms as f64),
        "ms",
        limits(spec, "round_trip_ms"),
    );
    finding.measure(Code::MqttOutOfLimits, [round_trip]);
}

/// The unit's own; one that nobody saw is only missed where it is limited, and then not held against it.
fn measure_own_certificate(spec: &CheckSpec, broker: &BrokerObservation, finding: &mut Finding) {
    const NAME: &str = "client_certificate_days";
    let Some(days) = broker.client_certificate_days else {
        if spec.limits.contains_key(NAME) {
            let message = format!("{NAME}: the unit's certificate was not seen");
            finding.error(Code::TestbedBroker, message);
        }
        return;
    };
    if days <= SOON_DAYS {
        finding.evidence.push(format!("the unit's certificate ends in {days} days"));
    }
    let days = Measurement::number(NAME, Some(days as f64), "days", limits(spec, NAME));
    finding.measure(Code::MqttOutOfLimits, [days]);
}

fn explain(plan: &BoundPlan, broker: &BrokerObservation, facts: &LogFacts, finding: &mut Finding) {
    if let Some(line) = &facts.tls {
        finding.evidence.push(format!("serial log: {line}"));
    }
    if broker.nameless {
        finding.evidence.push(
            "who was turned away gave no name; that it was the unit, its own log says".to_owned(),
        );
    }
    if let Some(line) = facts.configuration.as_ref().filter(|_| !broker.reached) {
        return finding.fail_with_witness(
            Code::FirmwareConfiguration,
            Code::TestbedBroker,
            format!("the firmware says: {line}"),
            broker.witness.as_ref(),
        );
    }
    if explain_clock(plan, broker, facts, finding) {
        return;
    }
    let endpoint = plan.broker_name();
    // What a broker that is already there answered, only the unit knows.
    let distrust = facts.tls.as_ref().filter(|_| broker.observer == Observer::Client);
    if let Some(line) = distrust.filter(|_| broker.reached) {
        return finding.fail_with_witness(
            Code::MqttServerUntrusted,
            Code::TestbedBroker,
            format!("the unit's TLS handshake with {endpoint} failed; its log says \"{line}\""),
            broker.witness.as_ref(),
        );
    }
    let (code, message) = match &broker.refusal {
        Some(Refusal::ServerUntrusted(alert)) => (
            Code::MqttServerUntrusted,
            format!("the unit does not trust the certificate of {endpoint} (TLS alert {alert})"),
        ),
        Some(Refusal::Handshake(reason)) => (
            Code::MqttNotConnected,
            format!("the TLS handshake of the unit with {endpoint} failed: {reason}"),
        ),
        Some(Refusal::BadCredentials) => (
            Code::MqttBadCredentials,
            format!("{endpoint} refuses the unit's user name or password"),
        ),
        Some(Refusal::NotAuthorized(reason)) => {
            (Code::MqttIdentityDiffers, format!("{endpoint} does not admit the unit: {reason}"))
        }
        Some(Refusal::BrokeOff) => (
            Code::MqttNotConnected,
            format!("{endpoint} closed the unit's connection{}", facts.complains()),
        ),
        Some(Refusal::Protocol(reason)) => {
            (Code::MqttNotConnected, format!("the unit broke MQTT's rules: {reason}"))
        }
        None if broker.reached && broker.observer == Observer::Client => (
            Code::MqttCommandUnanswered,
            format!(
                "the unit is connected to {endpoint} and answered no command: it did not subscribe, or answers elsewhere{}",
                facts.complains()
            ),
        ),
        None if broker.reached => (
            Code::MqttNotConnected,
            format!(
                "the unit reached {endpoint} and did not finish connecting{}",
                facts.complains()
            ),
        ),
        None => (
            Code::MqttNotConnected,
            format!("the unit never reached {endpoint}{}", facts.complains()),
        ),
    };
    // It may be the way to the broker.
    let fault = match broker.on_site && !broker.reached {
        true => Code::TestbedNetwork,
        false => Code::TestbedBroker,
    };
    finding.fail_with_witness(code, fault, message, broker.witness.as_ref());
}

/// A certificate that is valid now is out of its time for a unit that has another time; whether that was it.
fn explain_clock(
    plan: &BoundPlan,
    broker: &BrokerObservation,
    facts: &LogFacts,
    finding: &mut Finding,
) -> bool {
    let untimely = |line: &&String| OUT_OF_TIME.iter().any(|words| line.contains(words));
    let alert = match &broker.refusal {
        Some(Refusal::ServerUntrusted(alert)) => Some(alert),
        _ => None,
    };
    let line = facts.tls.as_ref().filter(untimely).filter(|_| broker.reached);
    let Some(line) = line.or(alert.filter(untimely)) else { return false };
    let endpoint = plan.broker_name();
    finding.fail_with_witness(
        Code::MqttServerUntrusted,
        Code::TestbedBroker,
        format!(
            "the unit does not trust the certificate of {endpoint}: it says \"{line}\", so its clock is not set"
        ),
        broker.witness.as_ref(),
    );
    finding.advise(Code::MqttServerUntrusted, SET_THE_CLOCK);
    true
}
