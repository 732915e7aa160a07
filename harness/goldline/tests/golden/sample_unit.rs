//! A profile's declared sample unit: its NVS image as bytes and as text without secrets.

use std::{io, sync::Arc};

use goldline::{
    clock::Clock,
    image::FlashImages,
    plan::{Bindings, BoundPlan, Content, Given, Identity, Plan, Scope, Sources, Text},
    profile::{Profile, ValueSpec, learnt_samples},
    secret::Secret,
    testbed::authority::Authority,
};
use goldline_nvs::{Image, SecretRule, snapshot::snapshot};

/// Stands for the chip's own, in values that are made of it.
const SAMPLE_MAC: &str = "24:0a:c4:00:01:10";

/// The unit that the samples of a profile describe.
pub struct SampleUnit(BoundPlan);

impl SampleUnit {
    /// Binds the samples.
    pub fn of(profile: &Arc<Profile>) -> Self {
        // What the application trusts does not reach the NVS image.
        let authority = Authority::create(Clock::system()).expect("a CA is made");
        let images = FlashImages::build(profile, authority.root_pem()).expect("images are made");
        let plan = Plan::new(Arc::clone(profile), Scope::Run);
        Self(BoundPlan::bind(plan, bindings(profile), &images).expect("samples fit"))
    }

    /// The NVS image as it would be flashed.
    pub fn nvs_image(&self) -> &[u8] {
        let images = self.0.images();
        let nvs = images.iter().find(|image| image.region.content == Content::Nvs);
        &nvs.expect("every plan writes NVS").bytes
    }

    /// What a device reads in the image, key by key; of a secret its type and length only.
    pub fn nvs_text(&self) -> String {
        let plain = self.0.plain_nvs(self.nvs_image()).expect("its own keys open it");
        let image = Image::decode(&plain).expect("an image of whole pages");
        let nvs = &self.0.profile().nvs;
        let is_secret = |value| self.0.bindings().render(value).expect("bound").is_secret();
        let secrets = nvs.entries.iter().filter(|entry| is_secret(&entry.value));
        let keys = secrets.map(|entry| (entry.namespace.as_str(), entry.key.as_str()));
        snapshot(&image.device_view(), &SecretRule::listed(keys))
    }

    /// The texts that nothing may show.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let text = |value: &ValueSpec| self.0.bindings().get(&value.name).map(Text::expose);
        self.0.profile().values.iter().filter(|value| value.secret).filter_map(text)
    }
}

fn bindings(profile: &Profile) -> Bindings {
    let (given, identity) = (Given::default(), Identity::Declared);
    let mut bindings = Bindings::resolve(profile, &given, identity, &mut SamplesOnly)
        .expect("every value has a sample");
    bindings.bind_mac(SAMPLE_MAC.parse().expect("a MAC")).expect("bound once");
    for (name, sample, secret) in learnt_samples() {
        if bindings.get(name).is_none() {
            let text =
                if secret { Text::secret(Secret::new(sample)) } else { Text::public(sample) };
            bindings.bind(name, text).expect("not bound yet");
        }
    }
    bindings
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
