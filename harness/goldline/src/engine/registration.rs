//! What the bench asks of services for a unit: a certificate, MQTT credentials, a row in the registry.
//!
//! A production service is reached as any client reaches it; the bench's own answers for the planned name
//! on a loopback port, so that no such name is ever resolved. A service's fault is never the unit's.

use std::{future::Future, pin::Pin, sync::Arc};

use tokio::time::Instant;

use super::{
    Failure, Run, millis,
    registry_row::{News, registry_row},
};
use crate::{
    check::{ApiObservation, CaObservation, RegistryObservation, Remaining, stops},
    client::{
        ca::{self, Issued, Registrant, Terms},
        http::{HttpClient, HttpError, Route},
        provisioning,
    },
    clock::Deadline,
    identity::SaltedScheme,
    plan::{BoundPlan, Scope, Text},
    profile::{Ca, Part, ProvisioningApi, RegistrySpec, Template},
    registry::DeviceRow,
    secret::Secret,
    tls::Expiry,
};

/// Puts a unit's row into the registry, or durably into the queue for it.
pub type EnrolUnit = Arc<
    dyn Fn(DeviceRow, Deadline) -> Pin<Box<dyn Future<Output = RegistryObservation> + Send>>
        + Send
        + Sync,
>;

const SECONDS_A_DAY: i64 = 24 * 60 * 60;

impl Run {
    /// Registers the unit with its CA. A certificate that is still valid for long enough is kept when
    /// only that was to be given anew.
    pub(super) async fn register(&mut self, spec: &Ca) -> Result<(), Failure> {
        if self.plan.scope == Scope::Reprovision(Part::Certificate)
            && self.keeps_certificate(spec)?
        {
            return Ok(());
        }
        let plan = self.bound()?;
        let (uuid, psk) = (text(plan, &spec.uuid)?, secret(plan, &spec.psk)?);
        let (device_type, planned) = (text(plan, &spec.device_type)?, text(plan, &spec.url)?);
        let (client, url, roots) = self.ca_client(&planned)?;
        let terms = Terms {
            production: spec.production,
            signing_request: spec.signing_request,
            minimum_validity: spec.minimum_validity,
            trusted_roots: roots.as_deref(),
            clock: self.bench.clock().clone(),
        };
        let mac = self.mac()?;
        let registrant = Registrant { uuid: &uuid, psk: &psk, mac, device_type: &device_type };
        let deadline = Deadline::after(self.plan.profile.deadlines.service);
        let began = Instant::now();
        let registered = tokio::select! {
            registered = ca::register(&client, &url, &registrant, &terms, deadline) => registered,
            () = self.cancel.cancelled() => return Err(Failure::Aborted),
        };
        let issued = registered
            .map_err(|error| Failure::Service(stops::service_call(error.code(), &url, error)))?;
        self.learn_certificate(&uuid, issued, millis(began.elapsed()))
    }

    fn learn_certificate(
        &mut self,
        uuid: &str,
        issued: Issued,
        took_ms: u64,
    ) -> Result<(), Failure> {
        let now = self.bench.clock().now();
        self.seen.ca = Some(CaObservation {
            caller: "the bench",
            accepted: true,
            uuid: Some(uuid.to_owned()),
            serial: Some(issued.serial),
            remaining_validity_days: Some((issued.not_after - now).whole_days()),
            ca_certificate: Expiry::first_in(&issued.ca_certificate)
                .map(|expiry| Remaining::until(&expiry, now)),
            took_ms: Some(took_ms),
            notes: issued.notes,
            ..CaObservation::default()
        });
        let plan = self.bound_mut()?;
        let der = der_of(&issued.certificate);
        plan.learn_issued("issued.certificate_der", Text::public(der))?;
        plan.learn_issued("issued.certificate", Text::public(issued.certificate))?;
        let root = last_of(&issued.ca_certificate).to_owned();
        plan.learn_issued("issued.root_certificate", Text::public(root))?;
        plan.learn_issued("issued.ca_certificate", Text::public(issued.ca_certificate))?;
        if let Some(key) = issued.private_key {
            let der = Secret::new(der_of(key.expose()));
            plan.learn_issued("issued.private_key_der", Text::secret(der))?;
            plan.learn_issued("issued.private_key", Text::secret(key))?;
        }
        self.claim_what_was_learnt()
    }

    /// Whether the certificate that the unit has is valid for longer than the profile asks.
    fn keeps_certificate(&mut self, spec: &Ca) -> Result<bool, Failure> {
        let plan = self.bound()?;
        let Some(held) = plan.bindings().get("issued.certificate") else { return Ok(false) };
        let Some(expiry) = Expiry::first_in(held.expose()) else { return Ok(false) };
        let now = self.bench.clock().now();
        let left = expiry.days_left(now);
        let wanted =
            i64::try_from(spec.minimum_validity.as_secs()).unwrap_or(i64::MAX) / SECONDS_A_DAY;
        // A day that has begun counts as none, also where nothing is asked for.
        if left < wanted || expiry.at <= now {
            return Ok(false);
        }
        let uuid = text(plan, &spec.uuid)?;
        let ca = plan.bindings().get("issued.ca_certificate");
        let ca = ca.and_then(|pem| Expiry::first_in(pem.expose()));
        self.seen.ca = Some(CaObservation {
            caller: "the bench",
            accepted: true,
            kept: true,
            uuid: Some(uuid),
            remaining_validity_days: Some(left),
            ca_certificate: ca.map(|expiry| Remaining::until(&expiry, now)),
            took_ms: Some(0),
            notes: vec![format!(
                "the certificate is valid for {left} more days, {wanted} are asked for: it was kept"
            )],
            ..CaObservation::default()
        });
        Ok(true)
    }

    /// A client for the CA, its address, and the roots that its certificates must come of.
    fn ca_client(&self, planned: &str) -> Result<(HttpClient, String, Option<String>), Failure> {
        if let Some(external) = self.bench.external_ca() {
            let trust = external.trust.as_deref();
            let client = usable(HttpClient::new(Route::Resolved, trust))?;
            return Ok((
                client,
                external.url.clone(),
                self.bench.external_ca_root().map(str::to_owned),
            ));
        }
        let way = self.testbed()?.way_to_ca(is_tls(planned));
        let way = way.ok_or(Failure::NotOffered("CA"))?;
        let authority = self.bench.authority();
        let trust = authority.server_trust();
        let client = usable(HttpClient::dialled(Arc::new(way), Some(&trust)))?;
        Ok((client, planned.to_owned(), Some(authority.root_pem().to_owned())))
    }

    /// Asks the provisioning server for the unit's MQTT credentials, and compares them with what the
    /// profile's scheme makes of the salt, or of the one before it while they change.
    pub(super) async fn request_credentials(
        &mut self,
        api: &ProvisioningApi,
    ) -> Result<(), Failure> {
        let plan = self.bound()?;
        let (device, token) = (text(plan, &api.device)?, secret(plan, &api.token)?);
        let planned = text(plan, &api.url)?;
        let (client, url) = self.config_server_client(&planned)?;
        let deadline = Deadline::after(self.plan.profile.deadlines.service);
        let asked = tokio::select! {
            asked = provisioning::provision(&client, &url, &device, &token, deadline) => asked,
            () = self.cancel.cancelled() => return Err(Failure::Aborted),
        };
        let given = asked
            .map_err(|error| Failure::Service(stops::service_call(error.code(), &url, error)))?;
        let now = self.bench.clock().now();
        let certificate = client.server_certificate();
        let certificate = certificate.map(|expiry| Remaining::until(&expiry, now));
        self.seen.api = Some(ApiObservation { certificate });
        self.compare_credentials(api, &given)?;
        if let Some(server) = &self.testbed()?.config_server {
            server.note_given_elsewhere(&given.mqtt_password);
        }
        let plan = self.bound_mut()?;
        plan.learn_issued("issued.mqtt_user", Text::public(given.mqtt_user))?;
        plan.learn_issued("issued.mqtt_host", Text::public(given.mqtt_host))?;
        plan.learn_issued("issued.mqtt_port", Text::public(given.mqtt_port.to_string()))?;
        plan.learn_issued("issued.mqtt_password", Text::secret(given.mqtt_password))?;
        self.claim_what_was_learnt()?;
        self.hearing.know(self.mac()?, self.bound()?);
        Ok(())
    }

    /// A server that gives another unit's credentials, or of another salt, would make a unit that nobody
    /// lets in.
    fn compare_credentials(
        &self,
        api: &ProvisioningApi,
        given: &provisioning::Credentials,
    ) -> Result<(), Failure> {
        let plan = self.bound()?;
        let user = text(plan, &api.username)?;
        if given.mqtt_user != user {
            let stop = stops::other_user(given.mqtt_user.len(), &user);
            return Err(Failure::Service(stop));
        }
        if let Some(password) = &api.password
            && plan.bindings().salt_of(password, &given.mqtt_password).is_none()
        {
            let schemes = SaltedScheme::ALL.map(SaltedScheme::name).join(" or ");
            return Err(Failure::Service(stops::other_password(&schemes)));
        }
        Ok(())
    }

    fn config_server_client(&self, planned: &str) -> Result<(HttpClient, String), Failure> {
        if let Some(external) = self.bench.external_config_server() {
            let client = usable(HttpClient::new(Route::Resolved, external.trust.as_deref()))?;
            return Ok((client, external.url.clone()));
        }
        let way = self.testbed()?.way_to_config_server(is_tls(planned));
        let way = way.ok_or(Failure::NotOffered("config server"))?;
        let trust = self.bench.authority().server_trust();
        Ok((usable(HttpClient::dialled(Arc::new(way), Some(&trust)))?, planned.to_owned()))
    }

    /// Puts the unit into the registry. One that is away does not stop the line: the row is queued.
    pub(super) async fn record_in_registry(&mut self, spec: &RegistrySpec) -> Result<(), Failure> {
        let row =
            match registry_row(self.bound()?, spec, News::Provisioned, self.bench.clock().now()) {
                Ok(row) => row,
                Err(error) => {
                    self.seen.registry =
                        Some(RegistryObservation::Rejected { reason: error.to_string() });
                    return Ok(());
                }
            };
        let enrol = Arc::clone(&self.enrol);
        let deadline = Deadline::after(self.plan.profile.deadlines.service);
        // Not cancelled: a row that is on its way arrives or is queued.
        self.seen.registry = Some(enrol(row, deadline).await);
        Ok(())
    }
}

fn usable(client: Result<HttpClient, HttpError>) -> Result<HttpClient, Failure> {
    client
        .map_err(|error| Failure::Service(stops::station(format_args!("the trusted CA: {error}"))))
}

fn text(plan: &BoundPlan, template: &Template) -> Result<String, Failure> {
    Ok(plan.render(template)?.expose().to_owned())
}

fn secret(plan: &BoundPlan, template: &Template) -> Result<Secret, Failure> {
    Ok(plan.render(template)?.as_secret().clone())
}

fn is_tls(url: &str) -> bool {
    url.starts_with("https://")
}

/// The last certificate of a chain as PEM text: the one that signed itself.
fn last_of(chain: &str) -> &str {
    chain.rfind("-----BEGIN CERTIFICATE").map_or(chain, |at| &chain[at..])
}

/// What stands between the lines of a PEM text, as one line of Base64.
fn der_of(pem: &str) -> String {
    let lines = pem.lines().map(str::trim);
    lines
        .skip_while(|line| !line.starts_with("-----BEGIN"))
        .skip(1)
        .take_while(|line| !line.starts_with("-----END"))
        .collect()
}
