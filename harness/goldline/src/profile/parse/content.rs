//! The sections `nvs`, `wifi` and `mqtt`: what the unit holds and must reach.

use std::collections::BTreeSet;

use super::{
    Problems,
    values::{LONGEST_STRING, Names},
};
use crate::profile::{
    CommandRoundTrip, Endpoint, EndpointPolicy, FlashMap, Mqtt, NvsContent, NvsEncoding,
    NvsEncryption, NvsEntry, NvsKeyScheme, Partition, Template, Wifi,
    problem::Problem,
    raw::{At, RawCommand, RawEncryption, RawMqtt, RawNvs, RawNvsEntry, RawWifi},
};

/// The longest key or namespace of NVS, in characters.
const LONGEST_NVS_NAME: usize = 15;

impl Problems {
    pub(super) fn nvs(
        &mut self,
        raw: RawNvs,
        flash: Option<&FlashMap>,
        scope: &Names<'_>,
    ) -> Option<NvsContent> {
        let namespace = self.nvs_name("namespace", &raw.namespace);
        let mut keys = BTreeSet::new();
        let mut entries = Vec::new();
        for entry in &raw.entries {
            let its = entry.namespace.as_ref().unwrap_or(&raw.namespace);
            if !keys.insert((its.get_ref(), entry.key.get_ref())) {
                let key = entry.key.get_ref().clone();
                let namespace = its.get_ref().clone();
                self.push(entry.key.span(), Problem::KeyTwice { key, namespace });
            }
            let its = match &entry.namespace {
                Some(name) => self.nvs_name("namespace", name),
                None => namespace.clone(),
            };
            entries.extend(self.nvs_entry(entry, its, scope));
        }
        let foreign_namespaces = raw
            .foreign_namespaces
            .iter()
            .filter_map(|name| self.nvs_name("namespace", name))
            .collect();
        let partition = self.partition_of(&raw.partition, flash?, "data/nvs", |partition| {
            partition.is("data", "nvs")
        });
        let encryption = match raw.encryption {
            Some(raw) => Some(self.encryption(&raw, flash?, scope)?),
            None => None,
        };
        Some(NvsContent {
            encryption,
            partition: partition?,
            namespace: namespace?,
            entries,
            foreign_namespaces,
        })
    }

    fn encryption(
        &mut self,
        raw: &RawEncryption,
        flash: &FlashMap,
        scope: &Names<'_>,
    ) -> Option<NvsEncryption> {
        let schemes = [("nvs_keys", true), ("hmac", false)];
        let in_partition = self.one_of("scheme", &raw.scheme, &schemes)?;
        let scheme = match (&raw.partition, in_partition) {
            (Some(name), true) => {
                let is_keys = |partition: &Partition| partition.is("data", "nvs_keys");
                let name = self.partition_of(name, flash, "data/nvs_keys", is_keys)?;
                NvsKeyScheme::Partition { name }
            }
            (None, false) => NvsKeyScheme::Hmac,
            _ => {
                self.push(raw.scheme.span(), Problem::KeyPartition);
                return None;
            }
        };
        let key = self.secret_template("key", &raw.key, scope)?;
        let digits = 2 * scheme.key_bytes();
        let hexadecimal =
            |key: String| key.len() == digits && key.bytes().all(|digit| digit.is_ascii_hexdigit());
        if scope.sample(&key).is_some_and(|sample| !hexadecimal(sample)) {
            self.push(raw.key.span(), Problem::KeyDigits { digits });
        }
        Some(NvsEncryption { scheme, key })
    }

    fn nvs_name(&mut self, what: &'static str, name: &At<String>) -> Option<String> {
        let text = name.get_ref();
        let length = text.chars().count();
        let problem = if !(1..=LONGEST_NVS_NAME).contains(&length) {
            Problem::NvsName { what, name: text.clone(), length }
        } else if !text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            Problem::NvsNameCharacter { what, name: text.clone() }
        } else {
            return Some(text.clone());
        };
        self.push(name.span(), problem);
        None
    }

    fn nvs_entry(
        &mut self,
        raw: &RawNvsEntry,
        namespace: Option<String>,
        scope: &Names<'_>,
    ) -> Option<NvsEntry> {
        let key = self.nvs_name("key", &raw.key);
        let encodings = NvsEncoding::ALL.map(|encoding| (encoding.name(), encoding));
        let encoding = self.one_of("encoding", &raw.encoding, &encodings);
        let value = self.template(&raw.value, scope);
        if let (Some(encoding), Some(value)) = (encoding, &value) {
            let problem = nvs_value_problem(raw.key.get_ref(), encoding, value, scope);
            if let Some(problem) = problem {
                self.push(raw.value.span(), problem);
            }
        }
        Some(NvsEntry { namespace: namespace?, key: key?, encoding: encoding?, value: value? })
    }

    pub(super) fn wifi(&mut self, raw: &RawWifi, scope: &Names<'_>) -> Option<Wifi> {
        let ssid = self.template(&raw.ssid, scope);
        let password = match &raw.password {
            Some(password) => self.template(password, scope),
            None => Some(Template::default()),
        };
        let (ssid, password) = (ssid?, password?);
        let (shortest, longest) = scope.bounds(&ssid);
        if longest > 32 || shortest == 0 {
            let template = ssid.to_string();
            self.push(raw.ssid.span(), Problem::SsidLength { template, longest });
        }
        if let Some(raw) = &raw.password {
            let (shortest, longest) = scope.bounds(&password);
            // Which of them an empty or a short value is, is known with the value.
            if (1..8).contains(&shortest) || !(8..=64).contains(&longest) {
                let template = password.to_string();
                let problem = Problem::PassphraseLength { template, shortest, longest };
                self.push(raw.span(), problem);
            }
        }
        Some(Wifi { ssid, password, hidden: raw.hidden })
    }

    pub(super) fn mqtt(&mut self, raw: RawMqtt, scope: &Names<'_>) -> Option<Mqtt> {
        let endpoint = self.endpoint(&raw.endpoint, scope);
        let policies = EndpointPolicy::ALL.map(|policy| (policy.name(), policy));
        let policy = self.one_of("policy", &raw.policy, &policies);
        let client_id = self.template(&raw.client_id, scope);
        let username = self.template(&raw.username, scope);
        let password = self.template(&raw.password, scope);
        let mut filters = |raw: &[At<String>]| -> Vec<Template> {
            raw.iter().filter_map(|filter| self.template(filter, scope)).collect()
        };
        let subscriptions = filters(&raw.subscriptions);
        let allowed_subscriptions = filters(&raw.allowed_subscriptions);
        let command = match raw.command {
            Some(command) => Some(self.command(&command, scope)?),
            None => None,
        };
        Some(Mqtt {
            endpoint: endpoint?,
            policy: policy?,
            client_id: client_id?,
            username: username?,
            password: password?,
            subscriptions,
            allowed_subscriptions,
            client_certificate: raw.client_certificate,
            command,
        })
    }

    /// The address is judged by its sample; that of a unit is judged again when it is bound.
    fn endpoint(&mut self, raw: &At<String>, scope: &Names<'_>) -> Option<Template> {
        let template = self.template(raw, scope)?;
        if scope.is_secret(&template) {
            self.push(raw.span(), Problem::SecretEndpoint { template: template.to_string() });
            return None;
        }
        if let Some(Err(error)) = scope.sample(&template).map(|uri| uri.parse::<Endpoint>()) {
            self.push(raw.span(), error);
        }
        Some(template)
    }

    fn command(&mut self, raw: &RawCommand, scope: &Names<'_>) -> Option<CommandRoundTrip> {
        let scope = scope.with(&["nonce"]);
        let topic = self.topic(&raw.topic, &scope);
        let payload = self.template(&raw.payload, &scope);
        let reply_topic = self.topic(&raw.reply_topic, &scope);
        let texts = raw.reply_contains.get_ref();
        let reply_contains: Vec<Template> =
            texts.iter().filter_map(|text| self.template(text, &scope)).collect();
        let payload = payload?;
        if !names_nonce(&payload) {
            self.push(raw.payload.span(), Problem::NoNonce { place: "payload" });
        }
        if !reply_contains.iter().any(names_nonce) && reply_contains.len() == texts.len() {
            self.push(raw.reply_contains.span(), Problem::NoNonce { place: "reply_contains" });
        }
        Some(CommandRoundTrip { topic: topic?, payload, reply_topic: reply_topic?, reply_contains })
    }

    pub(super) fn topic(&mut self, raw: &At<String>, scope: &Names<'_>) -> Option<Template> {
        let topic = raw.get_ref();
        if topic.is_empty() || topic.contains(['+', '#']) {
            self.push(raw.span(), Problem::Topic { topic: topic.clone() });
            return None;
        }
        self.template(raw, scope)
    }
}

fn names_nonce(template: &Template) -> bool {
    template.symbols().any(|symbol| symbol == "nonce")
}

/// What is wrong with a value as far as the file tells: its sample, or its text when it is literal.
fn nvs_value_problem(
    key: &str,
    encoding: NvsEncoding,
    value: &Template,
    scope: &Names<'_>,
) -> Option<Problem> {
    if encoding == NvsEncoding::String {
        let (length, _) = scope.bounds(value);
        return (length > LONGEST_STRING)
            .then(|| Problem::StringTooLong { key: key.to_owned(), length });
    }
    let sample = scope.sample(value)?;
    let text = if scope.is_secret(value) { value.to_string() } else { sample.clone() };
    if let Some((min, max)) = encoding.range() {
        let fits = parse_number(&sample).is_some_and(|number| (min..=max).contains(&number));
        let encoding = encoding.name();
        return (!fits).then_some(Problem::OutOfRange { text, encoding, min, max });
    }
    let hexadecimal =
        sample.len().is_multiple_of(2) && sample.bytes().all(|digit| digit.is_ascii_hexdigit());
    (encoding == NvsEncoding::Hex2Bin && !hexadecimal).then_some(Problem::NotHexadecimal { text })
}

/// A decimal number, or a hexadecimal one behind `0x`.
fn parse_number(text: &str) -> Option<i128> {
    match text.strip_prefix("0x") {
        Some(digits) => {
            i128::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with(['+', '-']))
        }
        None => text.parse().ok().filter(|_| !text.starts_with('+')),
    }
}
