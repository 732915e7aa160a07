//! The values of one unit: each name of the profile bound once to a text.
//!
//! A value is taken from the first that has it: `--set`, the unit's row of `--units`, the station
//! file, the profile's sample (simulated units only), and at last the lease or the generator. Templates
//! are rendered as soon as all their values are bound; what only the engine learns, such as
//! `unit.mac`, it binds later. Must not know how a value reaches the unit. Lengths are bytes.

mod derived;
mod error;
mod on_bench;
mod redaction;

use std::{collections::BTreeMap, fmt, io};

use zeroize::Zeroizing;

use super::{Given, Origin, Text};
use crate::{
    client::http::HttpUrl,
    identity::{CustomUuid, Mac},
    profile::{
        Chip, Endpoint, Host, Profile, Template, UnboundSymbol, ValueSource, ValueSpec,
        is_lease_number, is_secret_when_issued,
    },
    secret::Secret,
};

/// The value that identities are made of.
const UNIT_MAC: &str = "unit.mac";
/// A WPA2 key of 32 bytes.
const WIFI_KEY_DIGITS: usize = 64;

pub use derived::SaltAge;
use derived::previous;
pub use error::BindingError;

/// Names bound to texts, for one unit and one run.
#[derive(Clone, Debug)]
pub struct Bindings {
    /// What the addresses of the unit's interfaces are made by.
    chip: Chip,
    bound: BTreeMap<String, Bound>,
    /// Templates that wait for a value which the engine binds.
    waiting: Vec<ValueSpec>,
    /// Salted values that the unit was given in an earlier run.
    remembered: BTreeMap<String, Secret>,
}

#[derive(Clone, Debug)]
struct Bound {
    text: Text,
    origin: Origin,
}

/// Whose values a unit gets when nobody gave any.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Identity {
    /// The samples of the profile: goldens and a single simulated unit.
    Declared,
    /// The site's samples, and numbers and secrets of each unit's own: a lot of simulated units.
    DeclaredSite,
    /// No sample at all: whatever may ship.
    Issued,
}

/// What makes numbers and secrets for a unit.
pub trait Sources {
    /// A number that was never given before under this value's name.
    ///
    /// # Errors
    /// When the state directory cannot be written.
    fn lease(&mut self, value: &str) -> io::Result<u32>;

    /// Fills the buffer from the operating system's generator.
    ///
    /// # Errors
    /// When the generator has none.
    fn fill_random(&mut self, buffer: &mut [u8]) -> io::Result<()>;
}

impl Bindings {
    /// Binds every value of the profile that can be known before the unit is.
    ///
    /// # Errors
    /// The first value, in the profile's order, that is missing or does not fit. No number is leased
    /// before everything that was given is found good.
    pub fn resolve(
        profile: &Profile,
        given: &Given,
        identity: Identity,
        sources: &mut impl Sources,
    ) -> Result<Self, BindingError> {
        let mut bindings = Self {
            chip: profile.chip,
            bound: BTreeMap::new(),
            waiting: Vec::new(),
            remembered: BTreeMap::new(),
        };
        for (name, text) in given.issued() {
            bindings.insert(
                name,
                Text::new(text.expose(), is_secret_when_issued(name)),
                Origin::Issued,
            );
        }
        for spec in &profile.values {
            bindings.bind_ready(spec, given, identity)?;
        }
        for salt in profile.values.iter().filter_map(|spec| spec.source.salt()) {
            let in_force = bindings.get(salt).map(Text::as_secret);
            if let Some(before) = given.previous(salt).filter(|before| in_force != Some(*before)) {
                // As what a run learns: never remembered.
                bindings.insert(&previous(salt), Text::secret(before.clone()), Origin::Engine);
            }
        }
        bindings.bind_templates()?;
        bindings.check_addresses(profile)?;
        bindings.check_wifi(profile)?;
        for spec in &profile.values {
            bindings.bind_made(spec, sources)?;
        }
        bindings.bind_templates()?;
        bindings.check_addresses(profile)?;
        bindings.check_wifi(profile)?;
        Ok(bindings)
    }

    /// Binds what the engine has learnt, such as `observed.device_id`, and every value that waited for
    /// it.
    ///
    /// # Errors
    /// When the name is bound already, or a value that becomes known does not fit.
    pub fn bind(&mut self, name: &str, text: Text) -> Result<(), BindingError> {
        if self.bound.contains_key(name) {
            return Err(BindingError::BoundTwice { name: name.to_owned() });
        }
        self.insert(name, text, Origin::Engine);
        self.bind_templates()
    }

    /// Binds the unit's MAC in its three spellings, those of its interfaces, and every value that waited for it.
    ///
    /// # Errors
    /// As [`Bindings::bind`].
    pub fn bind_mac(&mut self, mac: Mac) -> Result<(), BindingError> {
        self.bind("unit.mac_lower", Text::public(mac.compact()))?;
        self.bind("unit.mac_upper", Text::public(mac.compact().to_ascii_uppercase()))?;
        for (interface, own) in self.chip.macs(mac).filter(|(of, _)| of.symbol() != UNIT_MAC) {
            self.bind(interface.symbol(), Text::public(own.to_string()))?;
        }
        self.bind(UNIT_MAC, Text::public(mac.to_string()))
    }

    /// The unit's MAC, once it was read.
    pub fn mac(&self) -> Option<Mac> {
        self.get(UNIT_MAC)?.expose().parse().ok()
    }

    /// Binds what a service gave to the unit, or gave anew; it is remembered with the unit's values.
    ///
    /// # Errors
    /// When a value that becomes known does not fit.
    pub fn bind_issued(&mut self, name: &str, text: Text) -> Result<(), BindingError> {
        self.insert(name, text, Origin::Issued);
        self.bind_templates()
    }

    /// The text of a value.
    pub fn get(&self, name: &str) -> Option<&Text> {
        self.bound.get(name).map(|bound| &bound.text)
    }

    /// Where a value came from.
    pub fn origin(&self, name: &str) -> Option<Origin> {
        self.bound.get(name).map(|bound| bound.origin)
    }

    /// Puts values in place of their names; secret when any of them is.
    ///
    /// # Errors
    /// The first symbol that is not bound yet.
    pub fn render(&self, template: &Template) -> Result<Text, UnboundSymbol> {
        let mut secret = false;
        let text = template.render(|name| {
            let text = self.get(name)?;
            secret |= text.is_secret();
            Some(text.expose())
        })?;
        Ok(Text::new(text, secret))
    }

    /// Whether the network's password is nobody's secret: there is none, the profile declares it, or it was
    /// made for this run.
    pub fn has_throw_away_network(&self, profile: &Profile) -> bool {
        let Some(wifi) = &profile.wifi else { return true };
        let is_nobodys = |name: &str| {
            self.origin(name) == Some(Origin::Random)
                || self.get(name).is_some_and(|text| {
                    text.expose().is_empty() || profile.declares(name, text.expose())
                })
        };
        wifi.password.symbols().all(is_nobodys)
    }

    /// Every value of the profile's, to be remembered for a later check; not what a run learns anew.
    pub fn to_remember(&self) -> BTreeMap<String, Secret> {
        let own = self.bound.iter().filter(|(_, bound)| bound.origin != Origin::Engine);
        own.map(|(name, bound)| (name.clone(), bound.text.as_secret().clone())).collect()
    }

    /// The values that the record may show as the unit's identifiers, as far as they are known.
    pub fn public_ids(&self, profile: &Profile) -> BTreeMap<String, String> {
        let ids = profile.values.iter().filter(|spec| spec.id);
        ids.filter_map(|spec| Some((spec, self.get(&spec.name)?)))
            .filter(|(_, text)| !text.is_secret())
            .map(|(spec, text)| (spec.name.clone(), text.expose().to_owned()))
            .collect()
    }

    /// Binds what was given or declared, and leaves the rest for later.
    fn bind_ready(
        &mut self,
        spec: &ValueSpec,
        given: &Given,
        identity: Identity,
    ) -> Result<(), BindingError> {
        let given_for = given.get(&spec.name);
        if let (Some((text, Origin::Remembered)), ValueSource::Salted { .. }) =
            (given_for, &spec.source)
        {
            // It may be of a salt that is not valid any more.
            self.remembered.insert(spec.name.clone(), text.clone());
            self.waiting.push(spec.clone());
            return Ok(());
        }
        if let Some((text, origin)) = given_for {
            refuse_public_secret(spec, text, identity)?;
            return self.bind_spec(spec, text.expose(), origin);
        }
        let sample = spec.sample.as_deref().filter(|_| uses_sample(&spec.source, identity));
        match (sample, &spec.source) {
            (
                _,
                ValueSource::Template(_) | ValueSource::MacScheme(_) | ValueSource::Salted { .. },
            ) => self.waiting.push(spec.clone()),
            (Some(sample), _) => return self.bind_spec(spec, sample, Origin::Sample),
            (None, ValueSource::Site) => return Err(not_given(spec)),
            (None, ValueSource::Lease | ValueSource::Random { .. }) => {}
        }
        Ok(())
    }

    /// Binds what is made for the unit.
    fn bind_made(
        &mut self,
        spec: &ValueSpec,
        sources: &mut impl Sources,
    ) -> Result<(), BindingError> {
        if self.bound.contains_key(&spec.name) {
            return Ok(());
        }
        let name = || spec.name.clone();
        match spec.source {
            ValueSource::Lease => {
                let number = sources
                    .lease(&spec.name)
                    .map_err(|error| BindingError::Lease { name: name(), error })?;
                self.bind_spec(spec, &number.to_string(), Origin::Lease)
            }
            ValueSource::Random { bytes } => {
                let text = random_hex(bytes, sources)
                    .map_err(|error| BindingError::Random { name: name(), error })?;
                self.bind_spec(spec, &text, Origin::Random)
            }
            ValueSource::Site
            | ValueSource::Template(_)
            | ValueSource::MacScheme(_)
            | ValueSource::Salted { .. } => Ok(()),
        }
    }

    fn bind_spec(
        &mut self,
        spec: &ValueSpec,
        text: &str,
        origin: Origin,
    ) -> Result<(), BindingError> {
        let name = || spec.name.clone();
        let (length, min, max) = (text.len(), spec.min_bytes, spec.max_bytes);
        if let Some(what) = spec.forbidden_in(text) {
            return Err(BindingError::Character { name: name(), what });
        }
        if spec.source == ValueSource::Lease && !is_lease_number(text) {
            return Err(BindingError::NotANumber { name: name() });
        }
        if !(min..=max).contains(&length) {
            return Err(BindingError::Length { name: name(), length, min, max });
        }
        if let ValueSource::MacScheme(_) = spec.source {
            CustomUuid::parse(text).map_err(|error| BindingError::Identity {
                name: name(),
                reason: error.to_string(),
            })?;
        }
        self.insert(&spec.name, Text::new(text, spec.secret), origin);
        Ok(())
    }

    fn insert(&mut self, name: &str, text: Text, origin: Origin) {
        self.bound.insert(name.to_owned(), Bound { text, origin });
    }

    /// 64 bytes of a network's secret are the key itself, in digits, and no passphrase; none are an open network.
    fn check_wifi(&self, profile: &Profile) -> Result<(), BindingError> {
        let Some(wifi) = &profile.wifi else { return Ok(()) };
        let Ok(secret) = self.render(&wifi.password) else { return Ok(()) };
        let digits = secret.expose().bytes().all(|byte| byte.is_ascii_hexdigit());
        let template = || wifi.password.to_string();
        match secret.expose().len() {
            length @ 1..8 => Err(BindingError::WifiShort { template: template(), length }),
            WIFI_KEY_DIGITS if !digits => Err(BindingError::WifiKey { template: template() }),
            _ => Ok(()),
        }
    }

    /// A given address is judged as the profile's sample was; what the engine binds later, it parses then.
    fn check_addresses(&self, profile: &Profile) -> Result<(), BindingError> {
        if let Some(mqtt) = &profile.mqtt
            && let Ok(uri) = self.render(&mqtt.endpoint)
        {
            uri.expose().parse::<Endpoint>()?;
        }
        let ca = profile.ca.as_ref().map(|ca| &ca.url);
        let api = profile.provisioning_api.as_ref().map(|api| &api.url);
        let config = profile.config_server.as_ref().map(|server| &server.url);
        for url in [ca, api, config].into_iter().flatten() {
            if let Ok(url) = self.render(url) {
                url.expose().parse::<HttpUrl>()?;
            }
        }
        if let Some(Ok(host)) = profile.time.as_ref().map(|time| self.render(&time.server)) {
            host.expose().parse::<Host>()?;
        }
        Ok(())
    }
}

fn uses_sample(source: &ValueSource, identity: Identity) -> bool {
    match identity {
        Identity::Declared => true,
        Identity::DeclaredSite => *source == ValueSource::Site,
        Identity::Issued => false,
    }
}

fn refuse_public_secret(
    spec: &ValueSpec,
    text: &Secret,
    identity: Identity,
) -> Result<(), BindingError> {
    let public = spec.secret && spec.sample.as_deref() == Some(text.expose());
    if public && identity == Identity::Issued {
        return Err(BindingError::PublicSecret { name: spec.name.clone() });
    }
    Ok(())
}

fn not_given(spec: &ValueSpec) -> BindingError {
    let name = spec.name.clone();
    if spec.secret {
        BindingError::SecretNotGiven { name }
    } else {
        BindingError::NotGiven { name }
    }
}

/// So many random bytes as lowercase hex.
fn random_hex(bytes: usize, sources: &mut impl Sources) -> io::Result<Zeroizing<String>> {
    let mut buffer = Zeroizing::new(vec![0; bytes]);
    sources.fill_random(&mut buffer)?;
    let mut hex = Zeroizing::new(String::with_capacity(2 * bytes));
    for byte in buffer.iter() {
        for nibble in [byte >> 4, byte & 0xF] {
            hex.extend(char::from_digit(nibble.into(), 16));
        }
    }
    Ok(hex)
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Set => "--set",
            Self::UnitsRow => "--units",
            Self::Remembered => "the station's ledger",
            Self::StationFile => "the station file",
            Self::Sample => "the profile's sample",
            Self::Lease => "a lease",
            Self::Random => "the generator",
            Self::Template => "other values",
            Self::Engine => "the run",
            Self::Bench => "the bench",
            Self::Issued => "a service",
        })
    }
}
