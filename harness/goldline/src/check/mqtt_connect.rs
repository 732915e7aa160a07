//! TLS, identity, credentials, subscriptions, and a command that comes back.
//!
//! The broker's own record is the evidence; what the unit calls itself there is a claim to compare.

use super::{BrokerObservation, Finding, LogFacts, Observations, Refusal, limits};
use crate::{
    plan::{BoundBroker, BoundPlan},
    profile::CheckSpec,
    record::{Code, Measurement},
};

pub(super) fn judge(spec: &CheckSpec, plan: &BoundPlan, seen: &Observations) -> Finding {
    let (Some(broker), Ok(planned)) = (&seen.broker, plan.broker()) else {
        return Finding::not_run();
    };
    let mut finding = Finding::ran();
    if broker.accepted {
        compare_identity(plan, planned, broker, &mut finding);
        compare_subscriptions(planned, broker, &mut finding);
        measure(spec, plan, broker, &mut finding);
    } else {
        explain(plan, broker, &LogFacts::of(&seen.console), &mut finding);
    }
    finding
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
        ("server name", &broker.server_name, planned.endpoint.host()),
    ] {
        if found.as_deref() != Some(planned) {
            let found = found.as_deref().unwrap_or("missing");
            finding.fail(
                Code::MqttIdentityDiffers,
                format!("the unit's {what} is {found}, planned is {planned}"),
            );
        }
    }
    let tls = broker.tls_version.as_deref();
    finding.measure(
        Code::MqttIdentityDiffers,
        [
            Measurement::word("client_id", broker.client_id.as_deref(), &planned.client_id),
            Measurement::word("username", broker.username.as_deref(), &planned.username),
            Measurement::word(
                "server_name",
                broker.server_name.as_deref(),
                planned.endpoint.host(),
            ),
            Measurement::fact(
                "tls_version",
                tls.filter(|tls| ["TLSv1.2", "TLSv1.3"].contains(tls)),
            ),
        ],
    );
    if plan.profile().mqtt.client_certificate {
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
    if plan.profile().mqtt.command.is_none() {
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

fn explain(plan: &BoundPlan, broker: &BrokerObservation, facts: &LogFacts, finding: &mut Finding) {
    if let Some(line) = &facts.tls {
        finding.evidence.push(format!("serial log: {line}"));
    }
    if let Some(line) = facts.configuration.as_ref().filter(|_| !broker.reached) {
        return finding.fail_with_witness(
            Code::FirmwareConfiguration,
            Code::TestbedBroker,
            format!("the firmware says: {line}"),
            broker.witness.as_ref(),
        );
    }
    let endpoint = &plan.endpoint;
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
        Some(Refusal::Protocol(reason)) => {
            (Code::MqttNotConnected, format!("the unit broke MQTT's rules: {reason}"))
        }
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
    finding.fail_with_witness(code, Code::TestbedBroker, message, broker.witness.as_ref());
}
