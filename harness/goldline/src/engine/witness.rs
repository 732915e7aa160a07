//! After a unit failed at a service, the bench tries the same with the plan's credentials: its success
//! is the witness that blames the unit, its failure the testbed.

use std::time::Duration;

use super::{Bench, Failure};
use crate::{
    check::Witness,
    clock::Deadline,
    plan::BoundPlan,
    testbed::{
        Testbed, TestbedError,
        witness::{BrokerProbe, Network},
    },
};

/// The bench is on the same machine; a service that takes longer is not sound.
const PROBE_LIMIT: Duration = Duration::from_secs(10);
/// What the bench calls itself at the broker, and in the certificate that it shows where one is asked for.
const WITNESS_ID: &str = "goldline-witness";
const WITNESS_VALIDITY: time::Duration = time::Duration::hours(1);

fn planned_network(plan: &BoundPlan) -> Network<'_> {
    Network { ssid: &plan.wifi.ssid, passphrase: &plan.wifi.password }
}

/// Joins the planned network.
pub(super) async fn at_access_point(testbed: &Testbed, plan: &BoundPlan) -> Witness {
    let ssid = &plan.wifi.ssid;
    let deadline = Deadline::after(PROBE_LIMIT);
    match testbed.witness.probe_access_point(planned_network(plan), deadline).await {
        Ok(_) => Witness {
            sound: true,
            detail: format!("the bench joined {ssid} with the planned password afterwards"),
        },
        Err(error) => Witness {
            sound: false,
            detail: format!(
                "the bench cannot join {ssid} with the planned password either: {error}"
            ),
        },
    }
}

/// Joins the planned network and connects to the planned broker.
pub(super) async fn at_broker(
    testbed: &Testbed,
    plan: &BoundPlan,
    bench: &Bench,
) -> Result<Witness, Failure> {
    if let Some(reason) = testbed.broker.lost() {
        return Ok(Witness { sound: false, detail: reason });
    }
    let broker = plan.broker()?;
    let endpoint = &broker.endpoint;
    let certificate = if plan.profile().mqtt.client_certificate {
        let issued = bench.authority.issue_device(WITNESS_ID, WITNESS_VALIDITY);
        Some(issued.map_err(TestbedError::from)?)
    } else {
        None
    };
    let trusted = bench.trusted();
    let probe = BrokerProbe {
        host: endpoint.host(),
        port: endpoint.port(),
        ca_pem: &trusted,
        credentials: Some((&broker.username, &broker.password)),
        client_id: Some(WITNESS_ID),
        client_certificate: certificate.as_ref(),
    };
    let deadline = Deadline::after(PROBE_LIMIT);
    let probed = testbed.witness.probe_broker(planned_network(plan), &probe, deadline).await;
    let (sound, detail) = match probed {
        Ok(()) => (
            true,
            format!("the bench connected to {endpoint} with the planned credentials afterwards"),
        ),
        Err(error) => (
            false,
            format!(
                "the bench cannot connect to {endpoint} with the planned credentials either: {error}"
            ),
        ),
    };
    Ok(Witness { sound, detail })
}
