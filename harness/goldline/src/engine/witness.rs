//! After a unit failed at a service, the bench tries the same with the plan's credentials: its success
//! is the witness that blames the unit, its failure the testbed.

use std::time::Duration;

use uuid::Uuid;

use super::Failure;
use crate::{
    bench::Bench,
    check::Witness,
    client::http::{HttpClient, HttpUrl, Request, Route},
    clock::Deadline,
    plan::BoundPlan,
    testbed::{
        Testbed, TestbedError,
        update_server::UpdateServer,
        witness::{BrokerProbe, ClientIdentity, Errand, Network},
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
    let (identity, trusted) = (identity(plan, bench)?, bench.trusted());
    let probe = BrokerProbe {
        host: endpoint.host(),
        port: endpoint.port(),
        ca_pem: &trusted,
        credentials: Some((&broker.username, &broker.password)),
        client_id: Some(WITNESS_ID),
        client_certificate: identity.as_ref(),
    };
    let probed = if testbed.broker.is_external() {
        probe_external(testbed, plan, &probe).await?
    } else {
        let deadline = Deadline::after(PROBE_LIMIT);
        let probed = testbed.witness.probe_broker(planned_network(plan), &probe, deadline).await;
        probed.map_err(|error| error.to_string())
    };
    Ok(match probed {
        Ok(()) => Witness {
            sound: true,
            detail: format!(
                "the bench connected to {endpoint} with the planned credentials afterwards"
            ),
        },
        Err(error) => Witness {
            sound: false,
            detail: format!(
                "the bench cannot use {endpoint} with the planned credentials either: {error}"
            ),
        },
    })
}

/// Downloads an update from where the unit was told to get it.
pub(super) async fn at_update_server(
    server: &UpdateServer,
    bench: &Bench,
    url: &str,
    image: &[u8],
) -> Witness {
    let download = async {
        let root = bench.authority().root_pem();
        let route = Route::Pinned(server.address());
        let client = HttpClient::new(route, Some(root)).map_err(|error| error.to_string())?;
        let place: HttpUrl = url.parse().map_err(|error| format!("{url}: {error}"))?;
        let request = Request::get(place).up_to(image.len());
        let deadline = Deadline::after(PROBE_LIMIT);
        let answer = client.call(&request, deadline).await.map_err(|error| error.to_string())?;
        match (answer.status, answer.body.expose() == image) {
            (200, true) => Ok(()),
            (200, false) => Err("its bytes are not those that were published".to_owned()),
            (status, _) => Err(format!("{url} answers with status {status}, expected 200")),
        }
    };
    match download.await {
        Ok(()) => Witness {
            sound: true,
            detail: "the bench downloaded the update whole afterwards".to_owned(),
        },
        Err(error) => Witness {
            sound: false,
            detail: format!("the bench cannot download the update either: {error}"),
        },
    }
}

/// What the witness shows where a certificate is asked for.
fn identity(plan: &BoundPlan, bench: &Bench) -> Result<Option<ClientIdentity>, Failure> {
    let own = bench.external_broker().and_then(|broker| broker.identity.as_ref());
    if let Some(pem) = own {
        return Ok(Some(ClientIdentity { chain: pem.expose().to_owned(), key: pem.clone() }));
    }
    if !plan.profile().mqtt.client_certificate {
        return Ok(None);
    }
    let issued = bench.authority().issue_device(WITNESS_ID, WITNESS_VALIDITY);
    Ok(Some(issued.map_err(TestbedError::from)?.into()))
}

/// A broker of others may take a message and give it to nobody, for want of a right. So the witness
/// stands in for the unit: it must hear the bench's own client at the command's topic, and be heard.
async fn probe_external(
    testbed: &Testbed,
    plan: &BoundPlan,
    probe: &BrokerProbe<'_>,
) -> Result<Result<(), String>, Failure> {
    let (network, broker) = (planned_network(plan), &testbed.broker);
    let deadline = Deadline::after(PROBE_LIMIT);
    let command = plan.profile().mqtt.command.as_ref();
    let command = command.ok_or(Failure::OutOfOrder { step: "send no command" })?;
    let topic =
        |template| -> Result<String, Failure> { Ok(plan.render(template)?.expose().to_owned()) };
    let (hears, says) = (topic(&command.topic)?, topic(&command.reply_topic)?);
    let text = format!("{WITNESS_ID} {}", Uuid::new_v4().simple());
    let publish = || {
        // What does not arrive is found missing.
        let _sent = broker.publish(&hears, text.as_bytes());
    };
    let errand = Errand { hears: &hears, says: &says, text: &text, ready: &publish };
    if let Err(error) = testbed.witness.probe_way(network, probe, &errand, deadline).await {
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
