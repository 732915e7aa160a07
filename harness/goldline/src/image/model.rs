//! Firmware models: the descriptions that ship, and what the simulator's compiler makes of one.
//!
//! Must not know how an ELF becomes an image.

use std::fs;

use super::error::ImageError;
use crate::{
    profile::{AppSource, Chip},
    simulated::simulated,
};

/// The firmware descriptions that ship with Goldline, by name.
const FIRMWARE_MODELS: &[(&str, &str)] = &[
    ("espvault", include_str!("../../../../fixtures/firmware/espvault.toml")),
    ("espvault-encrypted", include_str!("../../../../fixtures/firmware/espvault-encrypted.toml")),
    ("espvault-hmac", include_str!("../../../../fixtures/firmware/espvault-hmac.toml")),
    (
        "espvault-certificates",
        include_str!("../../../../fixtures/firmware/espvault-certificates.toml"),
    ),
    ("safesignal", include_str!("../../../../fixtures/firmware/safesignal.toml")),
    (
        "safesignal-certificates",
        include_str!("../../../../fixtures/firmware/safesignal-certificates.toml"),
    ),
    ("zeroconf-ca", include_str!("../../../../fixtures/firmware/zeroconf-ca.toml")),
    ("zeroconf-ca-console", include_str!("../../../../fixtures/firmware/zeroconf-ca-console.toml")),
    ("ble-gateway", include_str!("../../../../fixtures/firmware/ble-gateway.toml")),
    ("ble-gateway-next", include_str!("../../../../fixtures/firmware/ble-gateway-next.toml")),
    ("ble-gateway-bad", include_str!("../../../../fixtures/firmware/ble-gateway-bad.toml")),
    ("ble-gateway-factory", include_str!("../../../../fixtures/firmware/ble-gateway-factory.toml")),
    ("zeroconf-portal", include_str!("../../../../fixtures/firmware/zeroconf-portal.toml")),
    ("zeroconf", include_str!("../../../../fixtures/firmware/zeroconf.toml")),
];

/// A firmware description by the name of a shipped one, or by path.
///
/// # Errors
/// [`ImageError::UnknownModel`] or [`ImageError::File`].
pub fn firmware_description(name: &str) -> Result<String, ImageError> {
    if let Some((_, text)) = FIRMWARE_MODELS.iter().find(|(shipped, _)| *shipped == name) {
        return Ok((*text).to_owned());
    }
    if !name.contains(['/', '.']) {
        let shipped: Vec<&str> = FIRMWARE_MODELS.iter().map(|(name, _)| *name).collect();
        return Err(ImageError::UnknownModel {
            name: name.to_owned(),
            shipped: shipped.join(", "),
        });
    }
    fs::read_to_string(name).map_err(|source| ImageError::File { path: name.into(), source })
}

pub(super) fn compile_model(
    name: &str,
    trust_anchor_pem: &str,
    chip: Chip,
) -> Result<Vec<u8>, ImageError> {
    let refuse = |detail: String| ImageError::Model { name: name.to_owned(), detail };
    let description = firmware_description(name)?;
    goldline_simulator::firmware::compile(&description, trust_anchor_pem, simulated(chip)?)
        .map_err(|error| refuse(error.to_string()))
}

/// A firmware model's image with the signature that its description asks for.
pub(super) fn signed_as_described(
    source: &AppSource,
    image: Vec<u8>,
) -> Result<Vec<u8>, ImageError> {
    match source {
        AppSource::File(_) => Ok(image),
        AppSource::Model { name } => {
            Ok(goldline_simulator::firmware::sign_as_described(&firmware_description(name)?, image))
        }
    }
}
