//! A plan whose symbols have become values: the only thing that steps and checks work with.
//!
//! Bound once per unit, after its MAC is known and before a byte is written. Holds secrets; nothing
//! here prints one.

use std::borrow::Cow;

use goldline_nvs::{
    Document, Value, Version,
    crypt::{DecryptError, HmacKey, Keys, decrypt, encrypt},
    generate,
};
use zeroize::Zeroizing;

use super::{BindingError, Bindings, Content, Plan, Region, Text};
use crate::{
    hex::from_hex,
    image::FlashImages,
    profile::{
        Endpoint, EndpointError, Mqtt, NvsEntry, NvsKeyScheme, Profile, Template, UnboundSymbol,
    },
    secret::Secret,
};

/// A plan with its values and bytes, as far as they are known: some are learnt in the course of the run.
#[derive(Debug)]
pub struct BoundPlan {
    plan: Plan,
    bindings: Bindings,
    pub(super) flash: FlashImages,
    images: Vec<RegionImage>,
    document: Option<Document>,
    nvs_keys: Option<Keys>,
    broker: Option<BoundBroker>,
    /// The same unit's other plan, where it is tested with other values than it is shipped with.
    twin: Option<Box<Self>>,
    /// Which of the two this is.
    is_final: bool,
    /// The network that the unit must join, if there is one.
    pub wifi: Option<BoundWifi>,
    /// Where the unit finds its broker, if it has one.
    pub endpoint: Option<Endpoint>,
}

/// The bytes of one region.
#[derive(Clone, PartialEq, Eq)]
pub struct RegionImage {
    /// Where they belong.
    pub region: Region,
    /// At most the region's capacity.
    pub bytes: Vec<u8>,
}

/// Network name and passphrase of one unit.
#[derive(Clone, Debug)]
pub struct BoundWifi {
    /// Network name.
    pub ssid: String,
    /// WPA2 passphrase.
    pub password: Secret,
}

/// The broker of one unit and what the unit must do there.
#[derive(Clone, Debug)]
pub struct BoundBroker {
    /// Where the unit finds it.
    pub endpoint: Endpoint,
    /// What the unit must call itself.
    pub client_id: String,
    /// User name.
    pub username: String,
    /// Password.
    pub password: Secret,
    /// Topic filters.
    pub subscriptions: Vec<String>,
    /// Further topic filters that the unit may subscribe to.
    pub allowed_subscriptions: Vec<String>,
}

/// Something that was learnt does not fit the plan.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// A value does not fit.
    #[error(transparent)]
    Binding(#[from] BindingError),
    /// The plan does not fit its values.
    #[error(transparent)]
    Material(#[from] MaterialError),
}

/// The plan needs something that the run has not learnt yet.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the plan needs {what}, which this run has not learnt")]
pub struct NotLearnt {
    /// What is missing.
    pub what: &'static str,
}

/// A plan cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum MaterialError {
    /// A template names a value that nothing gave.
    #[error(transparent)]
    Unbound(#[from] UnboundSymbol),
    /// A value does not fit its NVS encoding.
    #[error("NVS key {key}: {reason}")]
    Encoding {
        /// The key.
        key: String,
        /// What is wrong, without the value.
        reason: goldline_nvs::document::EncodingError,
    },
    /// NVS cannot hold a namespace, key or value.
    #[error("cannot put a key into NVS: {0}")]
    Document(#[from] goldline_nvs::document::DocumentError),
    /// The NVS image does not fit its partition.
    #[error("cannot make the NVS image: {0}")]
    Generate(#[from] goldline_nvs::generate::GenerateError),
    /// The key of the NVS partition is none.
    #[error("the key of the NVS partition is not {expected} bytes in hexadecimal text")]
    NvsKey {
        /// Bytes of a key.
        expected: usize,
    },
    /// The broker's address is none.
    #[error("the unit's broker address cannot be used: {0}")]
    Endpoint(#[from] EndpointError),
    /// An image is larger than its partition.
    #[error(
        "{region} is {size} bytes, and only {capacity} fit: make it smaller or its partition larger"
    )]
    TooLarge {
        /// Name of the region.
        region: String,
        /// Size in bytes.
        size: usize,
        /// Capacity in bytes.
        capacity: u32,
    },
}

impl std::fmt::Debug for RegionImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RegionImage({}, {} bytes)", self.region.name, self.bytes.len())
    }
}

impl BoundPlan {
    /// Binds the plan's symbols and makes every byte that will be written.
    ///
    /// # Errors
    /// [`MaterialError`] when a value is missing or does not fit; nothing was written yet.
    pub fn bind(
        plan: Plan,
        bindings: Bindings,
        images: &FlashImages,
    ) -> Result<Self, MaterialError> {
        let profile = &plan.profile;
        let wifi = match &profile.wifi {
            Some(wifi) => Some(BoundWifi {
                ssid: bindings.render(&wifi.ssid)?.expose().to_owned(),
                password: Secret::new(bindings.render(&wifi.password)?.expose()),
            }),
            None => None,
        };
        let endpoint = match &profile.mqtt {
            Some(mqtt) => Some(bindings.render(&mqtt.endpoint)?.expose().parse()?),
            None => None,
        };
        let mut bound = Self {
            bindings,
            flash: images.clone(),
            images: Vec::new(),
            document: None,
            nvs_keys: None,
            broker: None,
            twin: None,
            is_final: false,
            wifi,
            endpoint,
            plan,
        };
        bound.refresh()?;
        Ok(bound)
    }

    /// The same, of a unit that is tested with these values and then given those that it is shipped with.
    ///
    /// # Errors
    /// As [`BoundPlan::bind`], of either.
    pub fn bind_both(
        plan: Plan,
        (tested, shipped): (Bindings, Bindings),
        images: &FlashImages,
    ) -> Result<Self, MaterialError> {
        let shipped = Self::bind(plan.clone(), shipped, images)?;
        let twin = Some(Box::new(Self { is_final: true, ..shipped }));
        Ok(Self { twin, ..Self::bind(plan, tested, images)? })
    }

    /// From here on the unit is given what it is shipped with.
    pub fn turn_final(&mut self) {
        if self.is_final {
            return;
        }
        if let Some(mut twin) = self.twin.take() {
            std::mem::swap(self, &mut twin);
            self.twin = Some(twin);
        }
    }

    /// What the unit is tested with.
    pub fn tested(&self) -> &Self {
        self.twin.as_deref().filter(|_| self.is_final).unwrap_or(self)
    }

    /// What the unit is shipped with.
    pub fn shipped(&self) -> &Self {
        self.twin.as_deref().filter(|_| !self.is_final).unwrap_or(self)
    }

    /// Whether this is what a unit is shipped with, and was tested with other values.
    pub fn is_final(&self) -> bool {
        self.is_final
    }

    /// Whether it is shipped with other values than it is tested with.
    pub fn is_of_two(&self) -> bool {
        self.twin.is_some()
    }

    /// Takes in what a service gave to the unit; whatever waited for it becomes known.
    ///
    /// # Errors
    /// When a value or a region does not fit.
    pub fn learn_issued(&mut self, name: &str, text: Text) -> Result<(), LearnError> {
        if let Some(twin) = &mut self.twin {
            twin.learn_issued(name, text.clone())?;
        }
        self.bindings.bind_issued(name, text)?;
        Ok(self.refresh()?)
    }

    /// Takes in what was seen of the unit; whatever waited for it becomes known.
    ///
    /// # Errors
    /// When it is known already, or a value or a region does not fit.
    pub fn learn_observed(&mut self, name: &str, text: Text) -> Result<(), LearnError> {
        if let Some(twin) = &mut self.twin {
            twin.learn_observed(name, text.clone())?;
        }
        self.bindings.bind(name, text)?;
        Ok(self.refresh()?)
    }

    /// Takes in the application that writes the unit's values and is then replaced.
    ///
    /// # Errors
    /// When it does not fit its partition.
    pub fn take_factory_app(&mut self, app: Vec<u8>) -> Result<(), MaterialError> {
        self.flash.factory_app = Some(app);
        self.refresh()
    }

    /// Makes everything anew whose values are all bound.
    fn refresh(&mut self) -> Result<(), MaterialError> {
        self.nvs_keys = known(nvs_keys(&self.plan.profile, &self.bindings))?.flatten();
        self.document = known(nvs_document(&self.plan.profile, &self.bindings))?;
        self.broker = match &self.plan.profile.mqtt {
            Some(mqtt) => known(bind_broker(mqtt, &self.bindings))?,
            None => None,
        };
        let regions = self.plan.regions();
        let fill = |region| {
            fill(region, &self.flash, self.document.as_ref(), self.nvs_keys.as_ref()).transpose()
        };
        self.images = regions.into_iter().filter_map(fill).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The product.
    pub fn profile(&self) -> &Profile {
        &self.plan.profile
    }

    /// The values.
    pub fn bindings(&self) -> &Bindings {
        &self.bindings
    }

    /// What must lie in the unit's NVS namespace.
    ///
    /// # Errors
    /// [`NotLearnt`] while a value in it is not known.
    pub fn document(&self) -> Result<&Document, NotLearnt> {
        self.document.as_ref().ok_or(NotLearnt { what: "the unit's NVS values" })
    }

    /// The unit's NVS partition as a device reads it: decrypted, where the product encrypts it.
    ///
    /// # Errors
    /// When these are not its keys, or nothing is encrypted in it.
    pub fn plain_nvs<'a>(&self, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, DecryptError> {
        match &self.nvs_keys {
            Some(keys) => Ok(Cow::Owned(decrypt(bytes, keys)?)),
            None => Ok(Cow::Borrowed(bytes)),
        }
    }

    /// A changed NVS partition as it is flashed: encrypted, where the product encrypts it.
    pub fn flashable_nvs(&self, plain: Vec<u8>) -> Vec<u8> {
        match &self.nvs_keys {
            Some(keys) => encrypt(&plain, keys),
            None => plain,
        }
    }

    /// Who the unit must be at its broker.
    ///
    /// # Errors
    /// [`NotLearnt`] while its credentials are not known.
    pub fn broker(&self) -> Result<&BoundBroker, NotLearnt> {
        self.broker.as_ref().ok_or(NotLearnt { what: "the unit's MQTT credentials" })
    }

    /// The network that the unit must join.
    ///
    /// # Errors
    /// [`NotLearnt`] when the product is judged without one.
    pub fn wifi(&self) -> Result<&BoundWifi, NotLearnt> {
        self.wifi.as_ref().ok_or(NotLearnt { what: "the unit's network" })
    }

    /// Where the unit finds its broker.
    ///
    /// # Errors
    /// [`NotLearnt`] when the product has none.
    pub fn endpoint(&self) -> Result<&Endpoint, NotLearnt> {
        self.endpoint.as_ref().ok_or(NotLearnt { what: "the unit's broker" })
    }

    /// The network's name, for a sentence about it.
    pub fn network_name(&self) -> &str {
        self.wifi.as_ref().map_or("no network", |wifi| &wifi.ssid)
    }

    /// The broker's address, for a sentence about it.
    pub fn broker_name(&self) -> String {
        self.endpoint.as_ref().map_or_else(|| "no broker".to_owned(), ToString::to_string)
    }

    /// A template with the unit's values.
    ///
    /// # Errors
    /// The first symbol that is not bound.
    pub fn render(&self, template: &Template) -> Result<Text, UnboundSymbol> {
        self.bindings.render(template)
    }

    /// The bytes of a region.
    ///
    /// # Errors
    /// [`NotLearnt`] while they are not known.
    pub fn image(&self, region: &Region) -> Result<&[u8], NotLearnt> {
        let image = self.images.iter().find(|image| {
            image.region.name == region.name && image.region.content == region.content
        });
        Ok(&image.ok_or(NotLearnt { what: "the bytes of a region" })?.bytes)
    }

    /// The application that stays in the unit.
    ///
    /// # Errors
    /// [`NotLearnt`] while it is not known.
    pub fn app(&self) -> Result<&[u8], NotLearnt> {
        let app = self.images.iter().find(|image| image.region.content == Content::App);
        Ok(&app.ok_or(NotLearnt { what: "the unit's application" })?.bytes)
    }

    /// The bytes of all regions that are known.
    pub fn images(&self) -> &[RegionImage] {
        &self.images
    }
}

fn bind_broker(mqtt: &Mqtt, bindings: &Bindings) -> Result<BoundBroker, MaterialError> {
    let text = |template: &Template| -> Result<String, UnboundSymbol> {
        Ok(bindings.render(template)?.expose().to_owned())
    };
    Ok(BoundBroker {
        endpoint: text(&mqtt.endpoint)?.parse()?,
        client_id: text(&mqtt.client_id)?,
        username: text(&mqtt.username)?,
        password: Secret::new(text(&mqtt.password)?),
        subscriptions: mqtt.subscriptions.iter().map(text).collect::<Result<_, _>>()?,
        allowed_subscriptions: (mqtt.allowed_subscriptions.iter().map(text))
            .collect::<Result<_, _>>()?,
    })
}

/// `None` for what waits for a value that the run learns later.
fn known<T>(bound: Result<T, MaterialError>) -> Result<Option<T>, MaterialError> {
    match bound {
        Ok(bound) => Ok(Some(bound)),
        Err(MaterialError::Unbound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The bytes of a region; `None` while they are not known.
fn fill(
    region: Region,
    images: &FlashImages,
    document: Option<&Document>,
    keys: Option<&Keys>,
) -> Result<Option<RegionImage>, MaterialError> {
    let bytes = match region.content {
        Content::Bootloader => images.bootloader.clone(),
        Content::PartitionTable => images.partition_table.clone(),
        Content::App => images.app.clone(),
        Content::FactoryApp => match &images.factory_app {
            Some(app) => app.clone(),
            None => return Ok(None),
        },
        Content::Other(index) => match images.others.get(index) {
            Some(bytes) => bytes.clone(),
            None => return Ok(None),
        },
        Content::Nvs => match document {
            Some(document) => {
                let plain = generate(document, region.capacity as usize, Version::V2)?;
                keys.map_or(plain.clone(), |keys| encrypt(&plain, keys))
            }
            None => return Ok(None),
        },
        Content::NvsKeys => match keys {
            Some(keys) => keys.to_partition().to_vec(),
            None => return Ok(None),
        },
    };
    if bytes.len() > region.capacity as usize {
        return Err(MaterialError::TooLarge {
            region: region.name,
            size: bytes.len(),
            capacity: region.capacity,
        });
    }
    Ok(Some(RegionImage { region, bytes }))
}

fn nvs_keys(profile: &Profile, bindings: &Bindings) -> Result<Option<Keys>, MaterialError> {
    let Some(encryption) = &profile.nvs.encryption else { return Ok(None) };
    let text = bindings.render(&encryption.key)?;
    let expected = encryption.scheme.key_bytes();
    let bytes = Zeroizing::new(from_hex(text.expose()).unwrap_or_default());
    if bytes.len() != expected {
        return Err(MaterialError::NvsKey { expected });
    }
    let refuse = |_| MaterialError::NvsKey { expected };
    Ok(Some(match encryption.scheme {
        NvsKeyScheme::Hmac => HmacKey::new(&bytes).map_err(refuse)?.derive(),
        NvsKeyScheme::Partition { .. } => {
            let bytes =
                bytes.as_slice().try_into().map_err(|_| MaterialError::NvsKey { expected })?;
            Keys::new(bytes)
        }
    }))
}

fn nvs_document(profile: &Profile, bindings: &Bindings) -> Result<Document, MaterialError> {
    let mut document = Document::new();
    document.namespace(&profile.nvs.namespace)?;
    for entry in &profile.nvs.entries {
        let text = bindings.render(&entry.value)?;
        document.insert(&entry.namespace, &entry.key, encode(entry, text.expose())?)?;
    }
    Ok(document)
}

fn encode(entry: &NvsEntry, text: &str) -> Result<Value, MaterialError> {
    goldline_nvs::document::value_of_text(entry.encoding.name(), text)
        .map_err(|reason| MaterialError::Encoding { key: entry.key.clone(), reason })
}
