//! The sections of the services that the bench or the unit calls.

use std::{collections::BTreeMap, time::Duration};

use super::{Problems, values::Names};
use crate::profile::{
    Alert, BadImage, Ca, Caller, ConfigServer, FactoryFirmware, FlashMap, Host, Ota, Part, Portal,
    ProvisioningApi, RegistrySpec, Template, TimeServer, Update, ValueSpec,
    problem::Problem,
    raw::{
        At, RawAlert, RawCa, RawConfigServer, RawFactory, RawOta, RawPortal, RawProvisioningApi,
        RawRegistry, RawTime, RawUpdate, Text,
    },
};

const SECONDS_A_DAY: u64 = 24 * 60 * 60;
const NTP_PORT: u16 = 123;
/// What the notice of an update may name.
const OF_AN_UPDATE: &[&str] = &["ota.url", "ota.sha256", "ota.size", "ota.version", "nonce"];

impl Problems {
    pub(super) fn ca(&mut self, raw: RawCa, scope: &Names<'_>) -> Option<Ca> {
        let callers = [("bench", Caller::Bench), ("unit", Caller::Unit)];
        let called_by = self.one_of("called_by", &raw.called_by, &callers);
        let url = self.url(&raw.url, scope, &["http", "https"], raw.production);
        let uuid = self.template(&raw.uuid, scope);
        let psk = self.secret_template("psk", &raw.psk, scope);
        let device_type = self.template(&raw.r#type, scope);
        let days = raw.minimum_validity_days.map_or(0, At::into_inner);
        Some(Ca {
            url: url?,
            called_by: called_by?,
            uuid: uuid?,
            psk: psk?,
            device_type: device_type?,
            production: raw.production,
            signing_request: raw.signing_request,
            minimum_validity: Duration::from_secs(u64::from(days) * SECONDS_A_DAY),
        })
    }

    pub(super) fn registry(&mut self, raw: RawRegistry, scope: &Names<'_>) -> Option<RegistrySpec> {
        let columns = raw.columns;
        let psk_secret = self.secret_template("psk_secret", &columns.psk_secret, scope);
        let mut column = |text: &Option<Text>| -> Option<Template> {
            text.as_ref().and_then(|text| self.public_template(text, scope))
        };
        let (ca_service_url, wifi_ssid) =
            (column(&columns.ca_service_url), column(&columns.wifi_ssid));
        let firmware_version = column(&columns.firmware_version);
        let hardware_revision = column(&columns.hardware_revision);
        let location = column(&columns.location);
        let global_uuid = self.public_template(&columns.global_uuid, scope);
        let mac_address = self.public_template(&columns.mac_address, scope);
        Some(RegistrySpec {
            global_uuid: global_uuid?,
            mac_address: mac_address?,
            psk_secret: psk_secret?,
            ca_service_url,
            wifi_ssid,
            firmware_version,
            hardware_revision,
            location,
        })
    }

    pub(super) fn provisioning_api(
        &mut self,
        raw: RawProvisioningApi,
        scope: &Names<'_>,
    ) -> Option<ProvisioningApi> {
        let url = self.url(&raw.url, scope, &["http", "https"], false);
        let device = self.public_template(&raw.device, scope);
        let token = self.secret_template("token", &raw.token, scope);
        let username = self.public_template(&raw.username, scope);
        let password = match &raw.password {
            Some(password) => Some(self.secret_template("password", password, scope)?),
            None => None,
        };
        let mqtt_host = self.public_template(&raw.mqtt_host, scope);
        Some(ProvisioningApi {
            url: url?,
            device: device?,
            token: token?,
            username: username?,
            password,
            mqtt_host: mqtt_host?,
        })
    }

    pub(super) fn portal(&mut self, raw: RawPortal, scope: &Names<'_>) -> Option<Portal> {
        let ssid = self.template(&raw.ssid, scope);
        let password = self.template(&raw.password, scope);
        let address = match raw.address.get_ref().parse() {
            Ok(address) => Some(address),
            Err(_) => {
                let found = raw.address.get_ref().clone();
                self.push(raw.address.span(), Problem::SocketAddress { found });
                None
            }
        };
        if !raw.path.get_ref().starts_with('/') {
            let found = raw.path.get_ref().clone();
            self.push(raw.path.span(), Problem::Path { found });
        }
        let fields = self.templates(&raw.fields, scope);
        Some(Portal {
            ssid: ssid?,
            password: password?,
            address: address?,
            path: raw.path.into_inner(),
            fetch_form: raw.fetch_form,
            fields,
        })
    }

    pub(super) fn config_server(
        &mut self,
        raw: RawConfigServer,
        scope: &Names<'_>,
    ) -> Option<ConfigServer> {
        let url = self.url(&raw.url, scope, &["http", "https"], false);
        let mqtt_host = self.public_template(&raw.mqtt_host, scope);
        Some(ConfigServer { url: url?, mqtt_host: mqtt_host?, creates_user: raw.creates_user })
    }

    pub(super) fn time(&mut self, raw: RawTime, scope: &Names<'_>) -> Option<TimeServer> {
        let server = self.public_template(&raw.server, scope)?;
        if let Some(Err(error)) = scope.sample(&server).map(|host| host.parse::<Host>()) {
            self.push(raw.server.span(), error);
        }
        if let Some(empty) = raw.expect.as_ref().filter(|expect| expect.get_ref().is_empty()) {
            self.push(empty.span(), Problem::NothingExpected);
        }
        let expect = raw.expect.map(At::into_inner);
        Some(TimeServer { server, port: raw.port.map_or(NTP_PORT, At::into_inner), expect })
    }

    pub(super) fn ota(
        &mut self,
        raw: RawOta,
        flash: Option<&FlashMap>,
        folder: Option<&std::path::Path>,
        scope: &Names<'_>,
    ) -> Option<Ota> {
        let scope = scope.with(OF_AN_UPDATE);
        let topic = self.topic(&raw.topic, &scope);
        let notice = self.template(&raw.notice, &scope);
        let report_topic = self.topic(&raw.report_topic, &scope);
        let mut texts = |texts: &[Text]| -> Vec<Template> {
            texts.iter().filter_map(|text| self.template(text, &scope)).collect()
        };
        let report_contains = texts(&raw.report_contains);
        let failure_contains = texts(&raw.failure_contains);
        let rollback_contains = texts(&raw.rollback_contains);
        let within = self.deadline(&raw.within_s);
        let server = self.host_and_port(&raw.server);
        let update = self.update(raw.update, folder);
        let bad_update = match raw.bad_update {
            Some(update) => Some(self.update(update, folder)?),
            None => None,
        };
        let known = BadImage::ALL.map(|bad| (bad.name(), bad));
        let refuses = raw.refuses.iter().filter_map(|bad| self.one_of("bad image", bad, &known));
        let refuses = refuses.collect();
        let partition = self.partition_of(&raw.partition, flash?, "an app", |p| p.is_app());
        Some(Ota {
            topic: topic?,
            notice: notice?,
            server: server?,
            report_topic: report_topic?,
            report_contains,
            failure_contains,
            rollback_contains,
            within,
            partition: partition?,
            update: update?,
            bad_update,
            refuses,
        })
    }

    fn update(&mut self, raw: RawUpdate, folder: Option<&std::path::Path>) -> Option<Update> {
        let app = self.app(&raw.app, folder)?;
        Some(Update { version: raw.version.into_inner(), app })
    }

    pub(super) fn factory(
        &mut self,
        raw: RawFactory,
        folder: Option<&std::path::Path>,
        scope: &Names<'_>,
    ) -> Option<FactoryFirmware> {
        let app = self.app(&raw.app, folder);
        let constants = self.templates(&raw.constants, scope);
        let within = self.deadline(&raw.within_s);
        Some(FactoryFirmware { app: app?, constants, expect: raw.expect.into_inner(), within })
    }

    pub(super) fn alert(&mut self, raw: RawAlert, scope: &Names<'_>) -> Option<Alert> {
        let send = self.template(&raw.send, scope);
        let topic = self.topic(&raw.topic, scope);
        let contains = raw.contains.iter().filter_map(|text| self.template(text, scope)).collect();
        Some(Alert { send: send?, topic: topic?, contains })
    }

    /// The values that each part of a re-provisioning may change.
    pub(super) fn reprovision(
        &mut self,
        raw: BTreeMap<Text, Vec<Text>>,
        values: &[ValueSpec],
        issued: &Names<'_>,
    ) -> BTreeMap<Part, Vec<String>> {
        let parts = Part::ALL.map(|part| (part.name(), part));
        let mut found = BTreeMap::new();
        for (part, names) in raw {
            let Some(part) = self.one_of("part", &part, &parts) else { continue };
            let mut known = Vec::new();
            for name in names {
                if values.iter().any(|spec| spec.name == *name.get_ref()) {
                    known.push(name.into_inner());
                } else if let Some(problem) = issued.missing(name.get_ref()) {
                    self.push(name.span(), problem);
                } else {
                    known.push(name.into_inner());
                }
            }
            found.insert(part, known);
        }
        found
    }

    fn templates(
        &mut self,
        raw: &BTreeMap<Text, Text>,
        scope: &Names<'_>,
    ) -> BTreeMap<String, Template> {
        raw.iter()
            .filter_map(|(name, text)| Some((name.get_ref().clone(), self.template(text, scope)?)))
            .collect()
    }

    /// A template that holds a secret; one in the clear would stand in the profile for everyone.
    pub(super) fn secret_template(
        &mut self,
        what: &'static str,
        raw: &Text,
        scope: &Names<'_>,
    ) -> Option<Template> {
        let template = self.template(raw, scope)?;
        if !scope.is_secret(&template) {
            self.push(raw.span(), Problem::NotSecret { what });
            return None;
        }
        Some(template)
    }

    /// A template that anyone may see.
    fn public_template(&mut self, raw: &Text, scope: &Names<'_>) -> Option<Template> {
        let template = self.template(raw, scope)?;
        if scope.is_secret(&template) {
            self.push(raw.span(), Problem::SecretShown { template: template.to_string() });
            return None;
        }
        Some(template)
    }

    /// An address by its sample; that of a unit is judged again when it is bound.
    fn url(
        &mut self,
        raw: &Text,
        scope: &Names<'_>,
        schemes: &[&'static str],
        production: bool,
    ) -> Option<Template> {
        let template = self.public_template(raw, scope)?;
        let sample = scope.sample(&template)?;
        let scheme = sample.split_once("://").map(|(scheme, _)| scheme);
        if !scheme.is_some_and(|scheme| schemes.contains(&scheme)) {
            let expected = schemes.join(" or ");
            self.push(raw.span(), Problem::Url { found: sample, expected });
        } else if production && scheme == Some("http") {
            self.push(raw.span(), Problem::InsecureProduction { found: sample });
        } else if let Err(error) = Host::of_url(&sample) {
            self.push(raw.span(), error);
        }
        Some(template)
    }

    fn host_and_port(&mut self, raw: &Text) -> Option<(Host, u16)> {
        let text = raw.get_ref();
        let port = text.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let Some(port) = port.filter(|&port: &u16| port > 0) else {
            self.push(raw.span(), Problem::HostAndPort { found: text.clone() });
            return None;
        };
        match Host::of_url(text) {
            Ok(host) => Some((host, port)),
            Err(error) => {
                self.push(raw.span(), error);
                None
            }
        }
    }
}
