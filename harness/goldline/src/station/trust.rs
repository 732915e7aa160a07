//! Whether a build can trust what the bench shows it, as far as profile and image tell before any unit is
//! touched.
//!
//! Pure. A firmware is free to ignore what it carries and to trust what nobody sees here, so that "no" is said
//! only where it carries CAs, none of them is the bench's, and nothing is provisioned that could be one.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    hex::from_hex,
    image::{Carried, FlashImages, carried},
    plan::{Given, Plan, Scope},
    profile::{
        AppSource, Caller, CheckId, NvsEncoding, NvsEntry, Piece, Profile, Template, ValueSource,
    },
};

/// What the engine learns of a CA that answered.
const ISSUED_ROOTS: [&str; 2] = ["issued.root_certificate", "issued.ca_certificate"];
/// Values of values: more than a profile has.
const DEEPEST: usize = 16;
/// More than anybody reads of a bundle.
const MOST_NAMED: usize = 3;

/// Whom a bench's services show, as PEM: each the certificates of which one must be trusted.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The bench's own CA; nothing where it has none yet.
    pub bench: Option<String>,
    /// That of a broker that is already there, in place of the bench's.
    pub broker: Option<String>,
}

/// A service that units call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Called {
    /// What people call it.
    pub what: &'static str,
    /// Where it is, as the unit holds it.
    pub at: String,
    /// Whether this build can trust it.
    pub answer: Answer,
    needed_by: &'static [CheckId],
}

/// Whether a build can trust a service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It is called in the clear.
    InTheClear,
    /// A firmware model is compiled with the bench's CA.
    CompiledIn,
    /// This key of NVS holds the CA.
    Provisioned(String),
    /// What this key of NVS will hold is not known yet, and it may be a CA.
    PerhapsProvisioned(String),
    /// The image carries it: this one.
    Carried(String),
    /// The profile says that the image tells nothing of it.
    Elsewhere,
    /// The image carries no CA at all.
    CarriesNone,
    /// The image carries others.
    CarriesOthers(Vec<String>),
    /// The bench has no CA yet that the image could carry.
    NoBenchYet(Vec<String>),
}

/// The firmware would refuse the bench, as it should refuse everybody whom it does not know.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{app} cannot trust this bench: of the CAs that it carries ({}) none is the bench's, no key of NVS brings \
     that, and so it would refuse {services}",
    named(.carries)
)]
pub struct Untrusting {
    /// The image.
    pub app: String,
    /// The subjects of the CAs in it.
    pub carries: Vec<String>,
    /// What it would refuse.
    pub services: String,
}

impl Untrusting {
    /// What to do about it.
    pub fn action(&self) -> String {
        "one of these: (1) write the bench's CA into NVS, where the firmware reads it from there: a key with the \
         value {issued.root_certificate}, or a value given with --set; it is ca/root.pem of the state directory. \
         (2) flash a build variant that carries the bench's CA. (3) show a certificate for the name that comes of a \
         CA which the unit trusts: [redirect] of the station file names it. (4) name \
         that broker: --broker mqtts://HOST:PORT --broker-trust FILE. Firmware that verifies nothing, or takes its \
         CA from elsewhere, is run with trusts_elsewhere = true in [images]"
            .to_owned()
    }
}

/// Refuses images that would refuse the bench, where a check needs it; units that are only provisioned get them
/// with a warning.
///
/// # Errors
/// [`Untrusting`] names what they carry.
pub(super) fn refuse_untrusting(
    plan: &Plan,
    given: &[Given],
    images: &FlashImages,
    shown: &Shown,
) -> Result<(), Untrusting> {
    let profile = &plan.profile;
    let first_update =
        images.updates.first().filter(|_| plan.has_check(CheckId::OtaUpdate)).map(Vec::as_slice);
    let apps = [
        Some((name_of(&profile.images.app), images.app.as_slice())),
        first_update.map(|app| ("the update".to_owned(), app)),
    ];
    for (name, app) in apps.into_iter().flatten() {
        let found = carried(app);
        let nobody = Given::default();
        let each = given.iter().chain(given.is_empty().then_some(&nobody));
        let refused = each.filter_map(|given| {
            let values = Values { profile, given, are_remembered: plan.scope.remembers() };
            untrusting(plan, &name, &services(&values, &found, shown))
        });
        match refused.into_iter().next() {
            Some(refused) if plan.scope == Scope::Provision => {
                tracing::warn!("{refused}; to test it, do {}", refused.action());
            }
            Some(refused) => return Err(refused),
            None => {}
        }
    }
    Ok(())
}

fn untrusting(plan: &Plan, app: &str, called: &[Called]) -> Option<Untrusting> {
    let tested = |called: &&Called| {
        // What is only provisioned will be tested some day.
        plan.scope == Scope::Provision || called.needed_by.iter().any(|id| plan.has_check(*id))
    };
    let mut carries = None;
    let mut refused = Vec::new();
    for called in called.iter().filter(tested) {
        if let Answer::CarriesOthers(others) = &called.answer {
            carries = Some(others.clone());
            refused.push(format!("the {} at {}", called.what, called.at));
        }
    }
    let (app, services) = (app.to_owned(), refused.join(", "));
    carries.map(|carries| Untrusting { app, carries, services })
}

/// What the units of a profile call, and whether they can trust it, before values of a unit are given.
pub fn services_of(profile: &Profile, carried: &[Carried], shown: &Shown) -> Vec<Called> {
    let given = match &shown.bench {
        Some(bench) => Given::default().on_bench(profile, bench),
        None => Given::default(),
    };
    services(&Values { profile, given: &given, are_remembered: false }, carried, shown)
}

fn services(values: &Values<'_>, carried: &[Carried], shown: &Shown) -> Vec<Called> {
    const BROKER: &[CheckId] =
        &[CheckId::MqttConnect, CheckId::TestAlert, CheckId::OtaUpdate, CheckId::ServerTrust];
    let profile = values.profile;
    let at_broker = shown.broker.as_ref().or(shown.bench.as_ref());
    let bench = shown.bench.as_ref();
    let mut called = Vec::new();
    if let Some(mqtt) = &profile.mqtt {
        called.push(("broker", values.shown(&mqtt.endpoint), at_broker, BROKER));
    }
    if let Some(ca) = profile.ca.as_ref().filter(|ca| ca.called_by == Caller::Unit) {
        called.push(("CA", values.shown(&ca.url), bench, &[CheckId::CaRegistration]));
    }
    if let Some(server) = &profile.config_server {
        let url = values.shown(&server.url);
        called.push(("configuration server", url, bench, &[CheckId::RemoteConfig]));
    }
    if let Some(ota) = &profile.ota {
        let (host, port) = &ota.server;
        let url = format!("https://{host}:{port}");
        called.push(("update server", url, bench, &[CheckId::OtaUpdate]));
    }
    let answered = called.into_iter().map(|(what, at, pem, needed_by)| {
        let answer = match at.starts_with("http://") {
            true => Answer::InTheClear,
            false => values.answer(carried, pem.map(String::as_str)),
        };
        Called { what, at, answer, needed_by }
    });
    answered.collect()
}

/// What is known of a unit's values before it is identified.
struct Values<'a> {
    profile: &'a Profile,
    given: &'a Given,
    /// Whether they are those that the station remembers, which are not looked up yet.
    are_remembered: bool,
}

impl Values<'_> {
    fn answer(&self, carried: &[Carried], pem: Option<&str>) -> Answer {
        let mut others = Vec::new();
        for entry in &self.profile.nvs.entries {
            match self.brings(entry, pem) {
                Brought::Ca => return Answer::Provisioned(entry.key.clone()),
                Brought::Perhaps => return Answer::PerhapsProvisioned(entry.key.clone()),
                Brought::Others(mut found) => others.append(&mut found),
            }
        }
        let anchors: Vec<_> = carried.iter().filter(|found| found.issuer.is_anchor()).collect();
        let own = pem.and_then(|pem| anchors.iter().find(|found| found.issuer.may_vouch_for(pem)));
        if let Some(own) = own {
            return Answer::Carried(own.issuer.subject().to_owned());
        }
        if self.profile.images.trusts_elsewhere {
            return Answer::Elsewhere;
        }
        others.extend(anchors.iter().map(|found| found.issuer.subject().to_owned()));
        match pem {
            _ if others.is_empty() => Answer::CarriesNone,
            None => Answer::NoBenchYet(others),
            Some(_) => Answer::CarriesOthers(others),
        }
    }

    /// What a key of NVS brings of a CA.
    fn brings(&self, entry: &NvsEntry, pem: Option<&str>) -> Brought {
        if self.names_issued_root(&entry.value, 0) {
            return Brought::Ca;
        }
        let Some(text) = self.rendered(&entry.value, 0) else {
            return match self.may_hold_a_certificate(entry) {
                true => Brought::Perhaps,
                false => Brought::Others(Vec::new()),
            };
        };
        let stored = match entry.encoding {
            NvsEncoding::Base64 => STANDARD.decode(text.trim()).unwrap_or_default(),
            NvsEncoding::Hex2Bin => from_hex(text.trim()).unwrap_or_default(),
            _ => text.into_bytes(),
        };
        let found = carried(&stored);
        let anchors = found.iter().filter(|found| found.issuer.is_anchor());
        let own = pem.is_some_and(|pem| found.iter().any(|ca| ca.issuer.may_vouch_for(pem)));
        // A sample is what nobody gave.
        match own {
            true => Brought::Ca,
            false if found.is_empty() => Brought::Others(Vec::new()),
            false if self.are_remembered || pem.is_none() => Brought::Perhaps,
            false => Brought::Others(anchors.map(|ca| ca.issuer.subject().to_owned()).collect()),
        }
    }

    fn names_issued_root(&self, template: &Template, depth: usize) -> bool {
        template.symbols().any(|name| {
            ISSUED_ROOTS.contains(&name)
                || depth < DEEPEST
                    && matches!(self.source(name), Some(ValueSource::Template(template))
                        if self.names_issued_root(template, depth + 1))
        })
    }

    /// A value of several lines, or bytes that nobody gave yet.
    fn may_hold_a_certificate(&self, entry: &NvsEntry) -> bool {
        let bytes = matches!(
            entry.encoding,
            NvsEncoding::Base64 | NvsEncoding::Hex2Bin | NvsEncoding::Binary
        );
        let mut specs = self.profile.values.iter();
        let of_site = |spec: &&crate::profile::ValueSpec| {
            matches!(spec.source, ValueSource::Site) && !spec.secret
        };
        entry.value.symbols().any(|name| {
            specs
                .by_ref()
                .filter(of_site)
                .any(|spec| spec.name == name && (bytes || spec.multiline))
        })
    }

    fn source(&self, name: &str) -> Option<&ValueSource> {
        self.profile.values.iter().find(|spec| spec.name == name).map(|spec| &spec.source)
    }

    /// A text whose values are all known; secrets are not, for no certificate is one.
    fn rendered(&self, template: &Template, depth: usize) -> Option<String> {
        let mut known = Vec::new();
        for name in template.symbols() {
            known.push((name.to_owned(), self.text_of(name, depth)?));
        }
        let value = |name: &str| {
            known.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
        };
        template.render(value).ok()
    }

    fn text_of(&self, name: &str, depth: usize) -> Option<String> {
        let spec = self.profile.values.iter().find(|spec| spec.name == name)?;
        if spec.secret || depth > DEEPEST {
            return None;
        }
        let given = self.given.text(name).map(|text| text.expose().to_owned());
        match &spec.source {
            _ if given.is_some() => given,
            ValueSource::Template(template) => self.rendered(template, depth + 1),
            _ if self.are_remembered && spec.multiline => None,
            _ => spec.sample.clone(),
        }
    }

    /// As far as its values are known.
    fn shown(&self, template: &Template) -> String {
        let parts = template.parts().iter().map(|part| match part {
            Piece::Text(text) => text.clone(),
            Piece::Symbol { name, .. } => {
                self.text_of(name, 0).unwrap_or_else(|| format!("{{{name}}}"))
            }
        });
        parts.collect()
    }
}

enum Brought {
    Ca,
    Perhaps,
    Others(Vec<String>),
}

/// What people call an application.
fn name_of(app: &AppSource) -> String {
    match app {
        AppSource::Model { name } => format!("the firmware model {name}"),
        AppSource::File(file) => file.path().display().to_string(),
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InTheClear => f.write_str("no trust needed: it is called in the clear"),
            Self::CompiledIn => f.write_str("yes: a firmware model is compiled with the bench's CA"),
            Self::Provisioned(key) => write!(f, "yes: the NVS key \"{key}\" holds the CA"),
            Self::PerhapsProvisioned(key) => {
                write!(f, "perhaps: the NVS key \"{key}\" may hold the CA, and its value is the unit's")
            }
            Self::Carried(subject) => write!(f, "yes: the image carries {subject}"),
            Self::Elsewhere => f.write_str(
                "elsewhere: the profile says that what it trusts is not in the image",
            ),
            Self::CarriesNone => f.write_str(
                "unknown: the image carries no CA; it may verify nothing, or take it from elsewhere",
            ),
            Self::CarriesOthers(others) => write!(
                f,
                "no: the image carries {}, and none is the bench's; goldline run refuses it, unless --broker \
                 names a broker that it trusts",
                named(others)
            ),
            Self::NoBenchYet(others) => write!(
                f,
                "not yet: the image carries {}, and the bench has no CA before its first run",
                named(others)
            ),
        }
    }
}

/// The first of many.
fn named(subjects: &[String]) -> String {
    let first = subjects.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(", ");
    match subjects.len().saturating_sub(MOST_NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
