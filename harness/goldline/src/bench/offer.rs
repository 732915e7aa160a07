//! What the bench offers to one unit, by its plan: its network, its broker address, its account.

use std::sync::Arc;

use uuid::Uuid;

use super::{Bench, BenchError};
use crate::{
    client::http::{HttpError, HttpUrl, Scheme},
    plan::{BoundBroker, BoundPlan},
    profile::{Ca, Caller, CheckId, Profile, Template},
    secret::Secret,
    testbed::{
        Calls, ConfigServerOffer, Site, TestbedConfig,
        access_point::AccessPointConfig,
        broker::{Account, ClientAuth, UnitIdentity},
        config_server::Credentials,
        network::Signal,
    },
};

/// A channel in the middle of the band, a signal as strong as in a nest beside the antenna, and an address
/// that is locally administered, so it is no device's.
const SIGNAL: Signal =
    Signal { bssid: [0x02, 0x67, 0x6f, 0x6c, 0x64, 0x00], channel: 6, rssi_dbm: -45 };

impl Bench {
    /// The testbed that this unit needs.
    ///
    /// # Errors
    /// When a template of a service names a value that nobody gave.
    pub(super) fn offer_to(&self, plan: &BoundPlan) -> Result<TestbedConfig, BenchError> {
        let profile = plan.profile();
        let ca = profile.ca.as_ref().filter(|ca| {
            // A CA that is already there is asked by the bench; a unit calls the one it knows.
            self.config.ca.is_none() || ca.called_by == Caller::Unit
        });
        let updates = profile.ota.as_ref().filter(|_| plan.plan().has_check(CheckId::OtaUpdate));
        Ok(TestbedConfig {
            authority: Arc::clone(&self.config.authority),
            access_point: access_point(plan),
            broker_endpoints: plan.endpoint.iter().cloned().collect(),
            // Not bound to the client id: a wrong one is admitted and then found by the check.
            accounts: known_accounts(plan),
            identity: identity(plan),
            client_auth: profile.shows_certificate().then(|| ClientAuth {
                // A unit shows its own certificate and not its issuer's, so the broker knows both.
                ca_pem: [
                    self.config.authority.root_pem(),
                    self.config.authority.intermediate_pem(),
                ]
                .concat(),
                common_name_is_client_id: names_itself_by_certificate(profile),
            }),
            external_broker: match &self.config.broker {
                Some(broker) => Some((broker.clone(), published_topics(plan)?)),
                None => None,
            },
            ca: ca.map(|ca| Ok::<_, BenchError>((site(plan, &ca.url)?, calls(ca)))).transpose()?,
            config_server: config_server(plan)?,
            time_server: match &profile.time {
                Some(time) => Some((plan.render(&time.server)?.expose().parse()?, time.port)),
                None => None,
            },
            update_server: updates.map(|ota| ota.server.clone()),
            faults: self.config.faults.clone(),
            clock: self.config.clock.clone(),
        })
    }
}

/// The planned network; of a product that is judged without one, a network that nobody can know.
fn access_point(plan: &BoundPlan) -> AccessPointConfig {
    let hidden = plan.profile().wifi.as_ref().is_none_or(|wifi| wifi.hidden);
    let (ssid, passphrase) = match &plan.wifi {
        Some(wifi) => (wifi.ssid.clone(), wifi.password.clone()),
        None => (String::new(), Secret::new(Uuid::new_v4().simple().to_string())),
    };
    AccessPointConfig { ssid, passphrase, hidden, signal: SIGNAL }
}

/// What the unit publishes, as far as the plan names it.
fn published_topics(plan: &BoundPlan) -> Result<Vec<String>, BenchError> {
    let profile = plan.profile();
    let answers = profile.command().map(|command| &command.reply_topic);
    let alerts = profile.alert.as_ref().map(|alert| &alert.topic);
    let reports = profile.ota.as_ref().map(|ota| &ota.report_topic);
    let mut topics = Vec::new();
    for template in [answers, alerts, reports].into_iter().flatten() {
        let topic = plan.render(template)?.expose().to_owned();
        if !topics.contains(&topic) {
            topics.push(topic);
        }
    }
    Ok(topics)
}

/// Who may connect from the start. Where the unit's first call creates its user, nobody may before.
fn known_accounts(plan: &BoundPlan) -> Vec<Account> {
    let later = plan.profile().config_server.as_ref().is_some_and(|server| server.creates_user);
    if later { Vec::new() } else { plan.broker().map(account).into_iter().collect() }
}

/// What of a unit's account is its alone, as far as it is known: the account may be one that a server will give it.
fn identity(plan: &BoundPlan) -> Option<UnitIdentity> {
    let (profile, mqtt) = (plan.profile(), plan.profile().mqtt.as_ref()?);
    let its_own = |text: &Template| {
        let rendered = profile.names_the_unit(text).then(|| plan.render(text))?;
        Some(rendered.ok()?.expose().to_owned())
    };
    Some(UnitIdentity { client_id: its_own(&mqtt.client_id)?, username: its_own(&mqtt.username) })
}

fn calls(ca: &Ca) -> Calls {
    match ca.called_by {
        Caller::Unit => Calls::Unit,
        Caller::Bench => Calls::Bench,
    }
}

/// Where a URL of the plan leads.
fn site(plan: &BoundPlan, url: &Template) -> Result<Site, BenchError> {
    let url = http_url(plan, url)?;
    let tls = url.scheme() == Scheme::Https;
    Ok(Site { host: url.at().clone(), port: url.port(), tls })
}

/// What a request for it asks for, without a query.
fn path_of(url: &HttpUrl) -> String {
    url.path().split('?').next().unwrap_or_default().to_owned()
}

fn http_url(plan: &BoundPlan, url: &Template) -> Result<HttpUrl, BenchError> {
    let url = plan.render(url)?.expose().to_owned();
    url.parse().map_err(|error: HttpError| BenchError::Url { url, reason: error })
}

/// The server that gives credentials and configuration; one server is both.
fn config_server(plan: &BoundPlan) -> Result<Option<ConfigServerOffer>, BenchError> {
    let profile = plan.profile();
    let (Some(api), Some(server)) = (&profile.provisioning_api, &profile.config_server) else {
        return Ok(None);
    };
    let text = |template: &Template| -> Result<String, BenchError> {
        Ok(plan.render(template)?.expose().to_owned())
    };
    // Of this unit only: another id gets what fits nobody.
    let password = api.password.as_ref().map(|password| plan.render(password)).transpose()?;
    let account = Credentials {
        username: text(&api.username)?,
        password: password.map_or_else(|| Secret::new(""), |text| text.as_secret().clone()),
    };
    Ok(Some(ConfigServerOffer {
        // The unit's fetch goes there, perhaps in the clear where the bench's call does not.
        site: site(plan, &server.url)?,
        bench_calls: site(plan, &api.url)?.host,
        token: plan.render(&api.token)?.as_secret().clone(),
        path: path_of(&http_url(plan, &server.url)?),
        credentials: Arc::new(move |_: &str| account.clone()),
        creates_user: server.creates_user,
        provisioned_host: text(&api.mqtt_host)?,
        configured_host: text(&server.mqtt_host)?,
    }))
}

/// Whether the certificate is made out to what the unit calls itself at the broker.
fn names_itself_by_certificate(profile: &Profile) -> bool {
    let client_id = profile.mqtt.as_ref().map(|mqtt| &mqtt.client_id);
    profile.ca.as_ref().is_none_or(|ca| Some(&ca.uuid) == client_id)
}

fn account(broker: &BoundBroker) -> Account {
    Account {
        username: broker.username.clone(),
        password: broker.password.clone(),
        client_id: None,
    }
}
