//! A profile's declared sample unit: its NVS image as bytes and as text without secrets.
//!
//! What goldens are made of, here and in other people's repositories. Touches no state: no number is taken, and
//! a value without a sample is an error.

use std::{io, sync::Arc};

use goldline_nvs::{
    Image, SecretRule,
    device::DeviceView,
    snapshot::{snapshot, snapshot_with},
};

use crate::{
    clock::Clock,
    identity::Mac,
    image::{FlashImages, ImageError},
    plan::{
        BindingError, Bindings, BoundPlan, Content, Given, Identity, MaterialError, Plan, Scope,
        Sources, Text,
    },
    profile::{Profile, ValueSpec, learnt_samples},
    secret::Secret,
    testbed::authority::{Authority, AuthorityError},
};

/// Stands for the chip's own address, in values that are made of it.
pub(super) const SAMPLE_MAC: Mac = Mac([0x24, 0x0a, 0xc4, 0x00, 0x01, 0x10]);

/// The unit that the samples of a profile describe.
pub struct SampleUnit(BoundPlan);

/// A profile describes no sample unit.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant is named after its error")]
pub enum SampleError {
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error(transparent)]
    Images(#[from] ImageError),
    #[error("no sample unit can be made: {0}")]
    Binding(#[from] BindingError),
    #[error("no sample unit can be made: {0}")]
    Material(#[from] MaterialError),
}

impl SampleUnit {
    /// Binds the samples.
    ///
    /// # Errors
    /// [`SampleError`] where a value has no sample, or the firmware cannot be read.
    pub fn of(profile: &Arc<Profile>) -> Result<Self, SampleError> {
        Self::with(profile, &Given::default(), SAMPLE_MAC)
    }

    /// Binds what is given, and samples for the rest.
    pub(super) fn with(
        profile: &Arc<Profile>,
        given: &Given,
        mac: Mac,
    ) -> Result<Self, SampleError> {
        // What the application trusts does not reach the NVS image.
        let authority = Authority::create(Clock::system())?;
        let images = FlashImages::build(profile, authority.root_pem())?;
        let plan = Plan::new(Arc::clone(profile), Scope::Run);
        Ok(Self(BoundPlan::bind(plan, bindings(profile, given, mac)?, &images)?))
    }

    /// The NVS image as it would be flashed.
    pub fn nvs_image(&self) -> &[u8] {
        let images = self.0.images();
        let nvs = images.iter().find(|image| image.region.content == Content::Nvs);
        &nvs.expect("every plan writes NVS").bytes
    }

    /// What a device reads in the image, key by key; of a secret its type and length only.
    pub fn nvs_text(&self) -> String {
        let view = self.view(self.nvs_image()).expect("its own keys open its own image");
        snapshot(&view, &self.declared())
    }

    /// The same of another image, with a mark for each secret that tells it from others.
    pub(super) fn marked_text(
        &self,
        image: &[u8],
        mark: impl Fn(&goldline_nvs::device::DeviceEntry) -> String,
    ) -> Result<String, String> {
        let view = self.view(image)?;
        let (declared, careful) = (self.declared(), SecretRule::careful());
        let nvs = &self.0.profile().nvs;
        let is_secret = |entry: &&goldline_nvs::device::DeviceEntry| {
            let (namespace, key) = (entry.namespace.to_string(), entry.key.to_string());
            let is_own = nvs.entries.iter().any(|it| it.namespace == namespace && it.key == key);
            let rule = if is_own { &declared } else { &careful };
            rule.is_secret(&entry.namespace, &entry.key, &entry.value)
        };
        let secrets = view.entries().iter().filter(is_secret);
        let rule = SecretRule::listed_keys(secrets.map(|entry| (entry.namespace, entry.key)));
        Ok(snapshot_with(&view, &rule, mark))
    }

    /// The texts that nothing may show.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let text = |value: &ValueSpec| self.0.bindings().get(&value.name).map(Text::expose);
        self.0.profile().values.iter().filter(|value| value.secret).filter_map(text)
    }

    fn view(&self, image: &[u8]) -> Result<DeviceView, String> {
        let plain = self.0.plain_nvs(image).map_err(|error| error.to_string())?;
        Ok(Image::decode(&plain).map_err(|error| error.to_string())?.device_view())
    }

    /// The entries that hold a secret.
    fn declared(&self) -> SecretRule {
        let nvs = &self.0.profile().nvs;
        let is_secret = |value| self.0.bindings().render(value).expect("bound").is_secret();
        let secrets = nvs.entries.iter().filter(|entry| is_secret(&entry.value));
        SecretRule::listed(secrets.map(|entry| (entry.namespace.as_str(), entry.key.as_str())))
    }
}

fn bindings(profile: &Profile, given: &Given, mac: Mac) -> Result<Bindings, BindingError> {
    let mut bindings = Bindings::resolve(profile, given, Identity::Declared, &mut SamplesOnly)?;
    bindings.bind_mac(mac)?;
    for (name, sample, secret) in learnt_samples() {
        if bindings.get(name).is_none() {
            let text =
                if secret { Text::secret(Secret::new(sample)) } else { Text::public(sample) };
            bindings.bind(name, text)?;
        }
    }
    Ok(bindings)
}

/// A golden with a number or secret of its own would differ on every run.
struct SamplesOnly;

impl Sources for SamplesOnly {
    fn lease(&mut self, value: &str) -> io::Result<u32> {
        Err(io::Error::other(format!("the value {value} has no sample")))
    }

    fn fill_random(&mut self, _buffer: &mut [u8]) -> io::Result<()> {
        Err(io::Error::other("a secret has no sample"))
    }
}
