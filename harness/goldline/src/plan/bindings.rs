//! The values of one unit: each name of the profile bound once to a text.
//!
//! A value is taken from the first that has it: `--set`, the unit's row of `--units`, the station
//! file, the profile's sample (simulated units only), and at last the lease or the generator. Templates
//! are rendered as soon as all their values are bound; what only the engine learns, such as
//! `unit.mac`, it binds later. Must not know how a value reaches the unit. Lengths are bytes.

use std::{collections::BTreeMap, fmt, io};

use zeroize::Zeroizing;

use super::{Given, Origin, Text};
use crate::{
    client::http::{HttpError, HttpUrl},
    identity::{CustomUuid, Mac, MacError, Salt},
    profile::{
        Chip, Endpoint, EndpointError, Host, HostError, Profile, Template, UnboundSymbol,
        ValueSource, ValueSpec, is_lease_number, is_secret_when_issued,
    },
    secret::Secret,
};

/// Shorter secrets would be found everywhere.
const SHORTEST_SECRET: usize = 4;
/// Shorter lines of a PEM text tell nothing.
const SHORTEST_LINE: usize = 16;

/// The value that identities are made of.
const UNIT_MAC: &str = "unit.mac";
/// A WPA2 key of 32 bytes.
const WIFI_KEY_DIGITS: usize = 64;

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

/// The salt before the one in force, or what it makes of a salted value; no value has such a name.
fn previous(name: &str) -> String {
    format!("previous.{name}")
}

/// Which salt a password was made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SaltAge {
    /// The one in force.
    Current,
    /// The one before it, which is valid still.
    Previous,
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

/// A unit's values cannot be bound.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum BindingError {
    #[error(
        "the value \"{name}\" is not given: pass --set {name}=VALUE, a column of --units, or [values] in the station file"
    )]
    NotGiven { name: String },
    #[error(
        "the value \"{name}\" is secret and not given: pass --set {name}=@FILE, --set {name}=$VARIABLE, a column of --units, or [values] in the station file"
    )]
    SecretNotGiven { name: String },
    #[error("the value \"{name}\" is {length} bytes long: expected {min} to {max}")]
    Length { name: String, length: usize, min: usize, max: usize },
    #[error("the value \"{name}\" holds {what}, which no value may hold")]
    Character { name: String, what: &'static str },
    #[error("the value \"{name}\" is not a number from 0 to 4294967295 without leading zeros")]
    NotANumber { name: String },
    #[error(
        "the secret \"{name}\" is the sample of the profile, which everyone can read: give one of its own"
    )]
    PublicSecret { name: String },
    #[error("the value \"{name}\" cannot be the unit's identity: {reason}")]
    Identity { name: String, reason: String },
    #[error("the value \"{name}\" is bound already")]
    BoundTwice { name: String },
    #[error(transparent)]
    Unbound(#[from] UnboundSymbol),
    #[error("the broker's address cannot be used: {0}")]
    Endpoint(#[from] EndpointError),
    #[error("a service's address cannot be used: {0}")]
    Service(#[from] HostError),
    #[error("a service's address cannot be used: {0}")]
    Url(#[from] HttpError),
    #[error(
        "the network's secret \"{template}\" has {length} bytes: WPA2 has passphrases of 8 to 63 bytes, and an open network has none"
    )]
    WifiShort { template: String, length: usize },
    #[error(
        "the network's secret \"{template}\" has 64 bytes and is not hexadecimal: WPA2 has passphrases of 8 to 63 bytes, and keys of 64 hexadecimal digits"
    )]
    WifiKey { template: String },
    #[error("no number could be leased for \"{name}\": {error}")]
    Lease { name: String, error: io::Error },
    #[error("no secret could be made for \"{name}\": {error}")]
    Random { name: String, error: io::Error },
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

    /// Every value of the profile's, to be remembered for a later check; not what a run learns anew.
    pub fn to_remember(&self) -> BTreeMap<String, Secret> {
        let own = self.bound.iter().filter(|(_, bound)| bound.origin != Origin::Engine);
        own.map(|(name, bound)| (name.clone(), bound.text.as_secret().clone())).collect()
    }

    /// Puts `‹name›` in place of every secret value in a text that came from the unit; says whose were
    /// there. Values of fewer than four bytes would be found everywhere and are left alone.
    pub fn redact(&self, text: &str) -> (String, Vec<String>) {
        let secret = self.bound.iter().filter(|(_, bound)| bound.text.is_secret());
        let mut secrets: Vec<(&String, &str)> = secret
            .flat_map(|(name, bound)| parts(bound.text.expose()).map(move |part| (name, part)))
            .filter(|(_, part)| text.contains(part))
            .collect();
        // The longest first: a secret that begins with another one must not keep its tail.
        secrets.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        let mut redacted = text.to_owned();
        for (name, value) in &secrets {
            redacted = redacted.replace(value, &format!("‹{name}›"));
        }
        let mut names: Vec<String> = secrets.into_iter().map(|(name, _)| name.clone()).collect();
        names.dedup();
        (redacted, names)
    }

    /// What [`Bindings::redact`] looks for.
    pub fn secret_parts(&self) -> Vec<Secret> {
        let secret = self.bound.values().filter(|bound| bound.text.is_secret());
        secret.flat_map(|bound| parts(bound.text.expose())).map(Secret::new).collect()
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

    /// Binds the values that are made of others, as far as those are bound. One pass does, because a
    /// value names only such that stand before it.
    fn bind_templates(&mut self) -> Result<(), BindingError> {
        for spec in std::mem::take(&mut self.waiting) {
            let in_force = self.derive(&spec)?;
            let before = match in_force {
                Some(_) => self.derive_previous(&spec)?,
                None => None,
            };
            if let Some(before) = &before {
                self.insert(&previous(&spec.name), before.clone(), Origin::Engine);
            }
            // What the unit has stays, as long as it is valid.
            let held = self.remembered.get(&spec.name);
            let held = before.filter(|before| held == Some(before.as_secret()));
            match held.or(in_force) {
                Some(text) => self.bind_spec(&spec, text.expose(), Origin::Template)?,
                None => self.waiting.push(spec),
            }
        }
        Ok(())
    }

    /// The text of a value that is made of others; `None` while one of them is not bound.
    fn derive(&self, spec: &ValueSpec) -> Result<Option<Text>, BindingError> {
        let refuse = |reason: String| BindingError::Identity { name: spec.name.clone(), reason };
        Ok(match &spec.source {
            ValueSource::Template(template) => self.render(template).ok(),
            ValueSource::MacScheme(scheme) => {
                let Some(mac) = self.get(UNIT_MAC) else { return Ok(None) };
                let mac: Mac =
                    mac.expose().parse().map_err(|error: MacError| refuse(error.to_string()))?;
                Some(Text::public(scheme.derive(mac)))
            }
            ValueSource::Salted { salt, .. } => match self.render(salt) {
                Ok(salt) => self.salted(spec, &salt)?,
                Err(_) => None,
            },
            _ => None,
        })
    }

    /// What the salt before the one in force makes of a salted value, where it is valid still.
    fn derive_previous(&self, spec: &ValueSpec) -> Result<Option<Text>, BindingError> {
        match spec.source.salt().and_then(|salt| self.get(&previous(salt))) {
            Some(salt) => self.salted(spec, salt),
            None => Ok(None),
        }
    }

    fn salted(&self, spec: &ValueSpec, salt: &Text) -> Result<Option<Text>, BindingError> {
        let ValueSource::Salted { scheme, of, .. } = &spec.source else { return Ok(None) };
        let Ok(of) = self.render(of) else { return Ok(None) };
        let salt = Salt::new(salt.as_secret().clone()).map_err(|error| BindingError::Identity {
            name: spec.name.clone(),
            reason: error.to_string(),
        })?;
        Ok(Some(Text::secret(scheme.derive(of.expose(), &salt))))
    }

    /// Which salt a password was made with that is planned as that template; `None` for one that is of none, or
    /// of one that is not valid any more.
    pub fn salt_of(&self, planned: &Template, password: &Secret) -> Option<SaltAge> {
        let before = planned.lone_symbol().and_then(|name| self.get(&previous(name)));
        if before.is_some_and(|before| before.as_secret() == password) {
            return Some(SaltAge::Previous);
        }
        let in_force = self.render(planned).ok()?;
        (in_force.as_secret() == password).then_some(SaltAge::Current)
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
        let Ok(secret) = self.render(&profile.wifi.password) else { return Ok(()) };
        let digits = secret.expose().bytes().all(|byte| byte.is_ascii_hexdigit());
        let template = || profile.wifi.password.to_string();
        match secret.expose().len() {
            length @ 1..8 => Err(BindingError::WifiShort { template: template(), length }),
            WIFI_KEY_DIGITS if !digits => Err(BindingError::WifiKey { template: template() }),
            _ => Ok(()),
        }
    }

    /// A given address is judged as the profile's sample was; what the engine binds later, it parses then.
    fn check_addresses(&self, profile: &Profile) -> Result<(), BindingError> {
        if let Ok(uri) = self.render(&profile.mqtt.endpoint) {
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
            Self::Issued => "a service",
        })
    }
}
/// What of a secret is looked for in a line: the whole, and each line of a PEM text by itself.
fn parts(value: &str) -> impl Iterator<Item = &str> {
    let lines = value.lines().map(str::trim);
    let lines = lines.filter(|line| line.len() >= SHORTEST_LINE && !line.starts_with("-----"));
    let lines = lines.filter(move |_| value.contains('\n'));
    std::iter::once(value).filter(|whole| whole.len() >= SHORTEST_SECRET).chain(lines)
}
