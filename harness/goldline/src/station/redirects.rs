//! By what right real units are led to the bench: a certificate from a CA that they trust, and somebody's reason.
//!
//! Reads the files that the station file names. Must not know what a network is.

use std::{fs, io, path::PathBuf};

use crate::{
    clock::Clock,
    image::{FlashImages, carried},
    plan::Given,
    profile::{Piece, Profile, Redirect, RedirectKey, RedirectedBy, SecretError},
    testbed::authority::{Maker, MakerError, MakerPem},
};

/// `[redirect]` of the station file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RedirectError {
    #[error("[redirect]: cannot read {}: {error}", .path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("[redirect]: {0}")]
    Secret(#[from] SecretError),
    #[error("[redirect]: {0}")]
    Maker(#[from] MakerError),
}

impl RedirectError {
    /// What to do about it.
    pub fn action(&self) -> &'static str {
        match self {
            Self::File { .. } | Self::Secret(_) => {
                "correct the place in [redirect] of the station file, or this user's rights to it"
            }
            Self::Maker(MakerError::NotTrusted(_)) => {
                "give the CA that issues and the one that units trust, with a way from one to the other"
            }
            Self::Maker(MakerError::Token(error)) => error.action(),
            Self::Maker(_) => {
                "look at the files with openssl x509 -text and openssl pkey, and correct them in [redirect] of the station file"
            }
        }
    }
}

/// Who certifies the bench's servers.
///
/// # Errors
/// [`RedirectError`] says what of it cannot be used.
pub(super) fn maker(redirect: &Redirect, clock: &Clock) -> Result<Maker, RedirectError> {
    let read = |path: &PathBuf| {
        fs::read_to_string(path).map_err(|error| RedirectError::File { path: path.clone(), error })
    };
    let (RedirectedBy::Certificate(certificate) | RedirectedBy::Ca(certificate)) = &redirect.by;
    let (trusted, certificate) = (read(&redirect.trusts)?, read(certificate)?);
    let (place, passphrase) = match &redirect.key {
        RedirectKey::Read { place, passphrase } => (place, passphrase),
        RedirectKey::Token { key, pin } => {
            let pin = pin.read()?;
            let texts = (trusted.as_str(), certificate.as_str());
            return Ok(Maker::as_ca_on_token(texts, (key, &pin), clock.clone())?);
        }
    };
    let pem = MakerPem {
        trusted,
        certificate,
        key: place.read()?,
        passphrase: passphrase.as_ref().map(|source| source.read()).transpose()?,
    };
    Ok(match &redirect.by {
        RedirectedBy::Certificate(_) => Maker::with_certificate(&pem, clock.clone())?,
        RedirectedBy::Ca(_) => Maker::as_ca(&pem, clock.clone())?,
    })
}

/// What trusts the bench's own CA among what a unit would be shipped with: its image, or a value.
pub(super) fn what_trusts_the_bench(
    profile: &Profile,
    images: &FlashImages,
    given: &[Given],
    bench_root: &str,
) -> Option<String> {
    let trusts =
        |image: &Vec<u8>| carried(image).iter().any(|found| found.issuer.may_vouch_for(bench_root));
    if trusts(&images.app) || images.updates.iter().any(trusts) {
        return Some("its application".to_owned());
    }
    if images.others.iter().any(trusts) {
        return Some("what the build has for another partition".to_owned());
    }
    let body: String = bench_root.lines().filter(|line| !line.starts_with("-----")).collect();
    let holds = |text: &str| text.split_whitespace().collect::<String>().contains(&body);
    let literal = profile.nvs.entries.iter().find(|entry| {
        entry.value.parts().iter().any(|part| matches!(part, Piece::Text(text) if holds(text)))
    });
    if let Some(entry) = literal {
        return Some(format!("the key \"{}\" of its NVS", entry.key));
    }
    given.iter().find_map(|given| {
        let (name, _) = given.texts().find(|(_, text)| holds(text.expose()))?;
        Some(format!("the value \"{name}\""))
    })
}
