//! Whether the values that units are shipped with can be those, of units that are tested with others: as far as it can
//! be told before any unit is touched.
//!
//! Reads the file that the station file names. Must not know how a value reaches a unit.

use std::{fs, io, path::PathBuf};

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};

use super::order::Order;
use crate::{
    clock::Clock,
    image::FlashImages,
    plan::Given,
    profile::{BENCH_ROOT, Endpoint, Profile},
    tls::{AnchorError, Anchors, Distrust, Issuer, judge},
};

/// A shorter text is in every application by chance.
const SHORTEST_TRACE: usize = 8;

/// A unit would be shipped with something of its test, or with what it cannot work with.
#[derive(Debug, thiserror::Error)]
pub enum UnfitFinal {
    #[error(
        "the value \"{name}\" is the same as the bench's in [bench_values], and would be shipped"
    )]
    SameAsBench { name: String },
    #[error("the application holds the bench's value of \"{name}\", and would be shipped with it")]
    InApplication { name: String },
    #[error("the value \"{name}\" is the CA that units are shipped with: {error}")]
    Ca { name: String, error: AnchorError },
    #[error(
        "the value \"{name}\" is the CA that units are shipped with, and its certificate of {subject} is no CA's"
    )]
    NoCa { name: String, subject: String },
    #[error(
        "the value \"{name}\" is the CA that units are shipped with, and trusts the bench's own CA"
    )]
    BenchCa { name: String },
    #[error("[final] broker_shows: cannot read {}: {error}", .path.display())]
    Shows { path: PathBuf, error: io::Error },
    #[error(
        "a unit that is shipped with the CA in \"{name}\" would refuse the production's broker {endpoint}: {why}"
    )]
    OtherCa { name: String, endpoint: String, why: Box<Distrust> },
}

impl UnfitFinal {
    /// What to do about it.
    pub fn action(&self) -> &'static str {
        match self {
            Self::SameAsBench { .. } => {
                "give the production's value, or another one in [bench_values] of the profile"
            }
            Self::InApplication { .. } => {
                "flash the build without it: what the unit is told on the bench comes from NVS"
            }
            Self::Shows { .. } => "correct the place in [final] of the station file",
            Self::OtherCa { .. } => {
                "give the CA that the production's broker comes of, or correct broker_shows in [final] of the station file"
            }
            Self::Ca { .. } | Self::NoCa { .. } | Self::BenchCa { .. } => {
                "give the root certificate of the production's CA as PEM; look at it with openssl x509 -text"
            }
        }
    }
}

/// Refuses what would be shipped of the bench, and a CA that nobody's certificate can come of.
///
/// # Errors
/// [`UnfitFinal`] names the first value.
pub(super) fn refuse_unfit(
    order: &Order,
    images: &FlashImages,
    bench_root: &str,
    clock: &Clock,
) -> Result<(), UnfitFinal> {
    let profile = &order.profile;
    for (name, template) in &profile.bench_values {
        let told = template.render(|symbol| (symbol == BENCH_ROOT).then_some(bench_root));
        let Ok(told) = told else { continue };
        let name = || name.clone();
        if told.len() >= SHORTEST_TRACE && holds(images, told.as_bytes()) {
            return Err(UnfitFinal::InApplication { name: name() });
        }
        for given in &order.given {
            let Some(shipped) = shipped(profile, &name(), given) else { continue };
            if shipped.trim_end() == told.trim_end() {
                return Err(UnfitFinal::SameAsBench { name: name() });
            }
            if template.symbols().any(|symbol| symbol == BENCH_ROOT) {
                let anchors = refuse_ca(&name(), shipped, bench_root, clock)?;
                refuse_other_ca(&name(), &anchors, order, given, clock)?;
            }
        }
    }
    Ok(())
}

/// What a unit is shipped with, where it is known before the unit is.
fn shipped<'a>(profile: &'a Profile, name: &str, given: &'a Given) -> Option<&'a str> {
    let sample = || profile.values.iter().find(|spec| spec.name == name)?.sample.as_deref();
    given.text(name).map(|text| text.expose()).or_else(sample)
}

/// Whether an image that stays in the unit holds a text.
fn holds(images: &FlashImages, text: &[u8]) -> bool {
    let all = std::iter::once(&images.app).chain(&images.others);
    all.into_iter().any(|image| image.windows(text.len()).any(|window| window == text))
}

fn refuse_ca(
    name: &str,
    pem: &str,
    bench_root: &str,
    clock: &Clock,
) -> Result<Anchors, UnfitFinal> {
    let name = || name.to_owned();
    let unfit = |error| UnfitFinal::Ca { name: name(), error };
    let anchors = Anchors::from_pem(pem).map_err(unfit)?;
    anchors.require_valid(clock.now()).map_err(unfit)?;
    for der in CertificateDer::pem_slice_iter(pem.as_bytes()).flatten() {
        let Some(issuer) = Issuer::of_certificate(&der) else { continue };
        if !issuer.is_anchor() {
            let subject = issuer.subject().to_owned();
            return Err(UnfitFinal::NoCa { name: name(), subject });
        }
        if issuer.may_vouch_for(bench_root) {
            return Err(UnfitFinal::BenchCa { name: name() });
        }
    }
    Ok(anchors)
}

/// What the production's broker shows is judged as a unit with that CA would judge it, where the station knows it.
fn refuse_other_ca(
    name: &str,
    anchors: &Anchors,
    order: &Order,
    given: &Given,
    clock: &Clock,
) -> Result<(), UnfitFinal> {
    let (Some(path), Some(mqtt)) = (&order.broker_shows, &order.profile.mqtt) else {
        return Ok(());
    };
    let Ok(endpoint) = mqtt.endpoint.render(|name| shipped(&order.profile, name, given)) else {
        return Ok(());
    };
    // One that is none is told where the unit's values are tried.
    let Some(host) = endpoint.parse::<Endpoint>().ok().map(|endpoint| endpoint.host().to_owned())
    else {
        return Ok(());
    };
    let Ok(host) = ServerName::try_from(host) else { return Ok(()) };
    let pem = fs::read_to_string(path)
        .map_err(|error| UnfitFinal::Shows { path: path.clone(), error })?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).flatten().collect();
    let judged = judge(&chain, anchors, &host, clock.now());
    let name = name.to_owned();
    judged.map(drop).map_err(|why| UnfitFinal::OtherCa { name, endpoint, why: Box::new(why) })
}
