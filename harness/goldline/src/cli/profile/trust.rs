//! What `goldline profile check` says of trust: the certificates in the applications, and whether this build
//! can trust the bench of the state directory that is there.
//!
//! Makes no state directory and no CA.

use super::{heading, line};
use crate::{
    image::{Carried, ImageError, carried, own_applications},
    profile::{AppSource, Profile},
    station::{Answer, Shown, services_of},
    store::{StateDirectory, bench_ca_if_any},
};

/// As much of a digest as tells two keys apart.
const DIGITS: usize = 16;

/// Writes all that there is to say.
///
/// # Errors
/// When an application cannot be had.
pub(super) fn tell(text: &mut String, profile: &Profile) -> Result<(), ImageError> {
    let mut in_app = Vec::new();
    for (index, (path, app)) in own_applications(profile)?.into_iter().enumerate() {
        let found = carried(&app);
        heading(text, &format!("Certificates in {}", path.display()));
        if found.is_empty() {
            line(text, format_args!("  none"));
        }
        for certificate in &found {
            tell_certificate(text, certificate);
        }
        if index == 0 && matches!(profile.images.app, AppSource::File(_)) {
            in_app = found;
        }
    }
    heading(text, "Whether this build can trust the bench");
    let bench = StateDirectory::default_path().ok().and_then(|state| bench_ca_if_any(&state));
    let shown = Shown { bench, broker: None };
    let is_model = matches!(profile.images.app, AppSource::Model { .. });
    for called in services_of(profile, &in_app, &shown) {
        // A model's image is made when the bench is known.
        let answer = match called.answer {
            Answer::CarriesNone if is_model => Answer::CompiledIn,
            answer => answer,
        };
        line(text, format_args!("  {:8} {}: {answer}", called.what, called.at));
    }
    Ok(())
}

fn tell_certificate(text: &mut String, certificate: &Carried) {
    let Carried { offset, address, form, issuer } = certificate;
    let seen = address.map_or_else(String::new, |address| format!(" ({address:#010x})"));
    let until = issuer
        .not_after()
        .map_or_else(|| "no end is given".to_owned(), |end| format!("until {}", end.date()));
    let role = if issuer.is_anchor() { "" } else { ", no CA" };
    let key = &issuer.key_digest()[..DIGITS];
    line(
        text,
        format_args!(
            "  {offset:#08x}{seen}  {:6} {}, {until}, key {key}{role}",
            form.to_string(),
            issuer.subject()
        ),
    );
}
