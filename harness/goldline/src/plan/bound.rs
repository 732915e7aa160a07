//! A plan whose symbols have become values: the only thing that steps and checks work with.
//!
//! Bound once per unit, after its MAC is known and before a byte is written. Holds secrets; nothing
//! here prints one.

use goldline_nvs::{Document, Value, Version, generate};

use super::{Bindings, Content, Plan, Region};
use crate::{
    image::FlashImages,
    profile::{Endpoint, EndpointError, NvsEntry, Profile, Template, UnboundSymbol},
    secret::Secret,
};

/// A plan with its values and bytes.
#[derive(Debug)]
pub struct BoundPlan {
    plan: Plan,
    bindings: Bindings,
    images: Vec<RegionImage>,
    document: Document,
    /// The network that the unit must join.
    pub wifi: BoundWifi,
    /// The broker that the unit must reach.
    pub broker: BoundBroker,
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
    /// As the unit holds it.
    pub endpoint: Endpoint,
    /// What the unit must call itself.
    pub client_id: String,
    /// User name.
    pub username: String,
    /// Password.
    pub password: Secret,
    /// Topic filters.
    pub subscriptions: Vec<String>,
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
        let document = nvs_document(profile, &bindings)?;
        let wifi = BoundWifi {
            ssid: bindings.render(&profile.wifi.ssid)?.expose().to_owned(),
            password: Secret::new(bindings.render(&profile.wifi.password)?.expose()),
        };
        let broker = bind_broker(profile, &bindings)?;
        let images = plan
            .regions()
            .into_iter()
            .map(|region| fill(region, images, &document))
            .collect::<Result<_, _>>()?;
        Ok(Self { bindings, images, document, wifi, broker, plan })
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
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The bytes of a region.
    pub fn image(&self, region: &Region) -> Option<&[u8]> {
        let image = self.images.iter().find(|image| image.region.name == region.name)?;
        Some(&image.bytes)
    }

    /// The bytes of all regions.
    pub fn images(&self) -> &[RegionImage] {
        &self.images
    }
}

fn bind_broker(profile: &Profile, bindings: &Bindings) -> Result<BoundBroker, MaterialError> {
    let mqtt = &profile.mqtt;
    let text = |template: &Template| -> Result<String, UnboundSymbol> {
        Ok(bindings.render(template)?.expose().to_owned())
    };
    Ok(BoundBroker {
        endpoint: text(&mqtt.endpoint)?.parse()?,
        client_id: text(&mqtt.client_id)?,
        username: text(&mqtt.username)?,
        password: Secret::new(text(&mqtt.password)?),
        subscriptions: mqtt.subscriptions.iter().map(text).collect::<Result<_, _>>()?,
    })
}

fn fill(
    region: Region,
    images: &FlashImages,
    document: &Document,
) -> Result<RegionImage, MaterialError> {
    let bytes = match region.content {
        Content::Bootloader => images.bootloader.clone(),
        Content::PartitionTable => images.partition_table.clone(),
        Content::App => images.app.clone(),
        Content::Nvs => generate(document, region.capacity as usize, Version::V2)?,
    };
    if bytes.len() > region.capacity as usize {
        return Err(MaterialError::TooLarge {
            region: region.name,
            size: bytes.len(),
            capacity: region.capacity,
        });
    }
    Ok(RegionImage { region, bytes })
}

fn nvs_document(profile: &Profile, bindings: &Bindings) -> Result<Document, MaterialError> {
    let mut document = Document::new();
    document.namespace(&profile.nvs.namespace)?;
    for entry in &profile.nvs.entries {
        let text = bindings.render(&entry.value)?;
        document.insert(&profile.nvs.namespace, &entry.key, encode(entry, text.expose())?)?;
    }
    Ok(document)
}

fn encode(entry: &NvsEntry, text: &str) -> Result<Value, MaterialError> {
    goldline_nvs::document::value_of_text(entry.encoding.name(), text)
        .map_err(|reason| MaterialError::Encoding { key: entry.key.clone(), reason })
}
