//! A unit's registration with its CA, and that what comes back fits the unit.
//!
//! `POST {ca}/api/devices/register` with `{uuid, psk, mac, type}` gives `{success, certificate, ca_cert,
//! expiry}`. Without a signing request the certified key is the CA's own affair: the product's document
//! has no place for a private key. With one, an extension, the key is made here. Nothing is given out
//! that was not verified. Must not know where the certificate is written.

mod answer;
mod error;
mod probe;
mod verify;

use std::time::Duration;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use serde::Serialize;
use time::OffsetDateTime;

use verify::Leaf;

pub use error::CaError;
pub use probe::{CaTest, test_ca};

use super::http::{HttpClient, HttpError, HttpUrl, Request, Scheme};
use crate::{
    clock::{Clock, Deadline},
    identity::Mac,
    secret::Secret,
};

const REGISTER: &str = "/api/devices/register";

/// Who is registered.
#[derive(Clone, Copy, Debug)]
pub struct Registrant<'a> {
    /// The certificate's name.
    pub uuid: &'a str,
    /// The secret that the API and the unit share.
    pub psk: &'a Secret,
    /// The unit's address.
    pub mac: Mac,
    /// The chip, as the API names it.
    pub device_type: &'a str,
}

/// What the bench asks of the CA.
#[derive(Clone)]
pub struct Terms<'a> {
    /// Whether plain http is refused.
    pub production: bool,
    /// Whether a key is made here and a signing request is sent.
    pub signing_request: bool,
    /// How long the certificate must still be valid.
    pub minimum_validity: Duration,
    /// Roots as PEM of which one must have issued the certificate. Without any, a root that comes with
    /// the answer is taken, with a note.
    pub trusted_roots: Option<&'a str>,
    /// What time it is.
    pub clock: Clock,
}

/// A certificate that fits the unit.
#[derive(Clone, Debug)]
pub struct Issued {
    /// PEM, as the CA sent it.
    pub certificate: String,
    /// PEM, as the CA sent it.
    pub ca_certificate: String,
    /// PKCS#8 PEM; there with a signing request only.
    pub private_key: Option<Secret>,
    /// The certificate's serial number in lowercase hex.
    pub serial: String,
    /// Last moment of validity.
    pub not_after: OffsetDateTime,
    /// What is odd and still good.
    pub notes: Vec<String>,
}

#[derive(Serialize)]
struct RegistrationRequest<'a> {
    uuid: &'a str,
    psk: &'a str,
    mac: String,
    #[serde(rename = "type")]
    device_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    csr: Option<String>,
}

/// The CA's place, and a note when it was written with a slash at its end.
struct Place {
    base: HttpUrl,
    notes: Vec<String>,
}

/// Registers a unit and verifies the answer.
///
/// # Errors
/// [`CaError`]; nothing of the answer may be used then.
pub async fn register(
    client: &HttpClient,
    url: &str,
    registrant: &Registrant<'_>,
    terms: &Terms<'_>,
    deadline: Deadline,
) -> Result<Issued, CaError> {
    let Place { base, mut notes } = place(url)?;
    if terms.production && base.scheme() == Scheme::Http {
        return Err(CaError::Insecure { url: base.to_string() });
    }
    let key = terms.signing_request.then(KeyPair::generate).transpose().map_err(CaError::Key)?;
    let csr = key.as_ref().map(|key| signing_request(key, registrant.uuid)).transpose()?;
    let body = RegistrationRequest {
        uuid: registrant.uuid,
        psk: registrant.psk.expose(),
        mac: registrant.mac.upper(),
        device_type: registrant.device_type,
        csr,
    };
    let body = Secret::new(serde_json::to_string(&body).expect("texts become JSON"));
    let request = Request::post(base.below(REGISTER)).body("application/json", body);
    let response = client.call(&request, deadline).await?;

    let answer = answer::parse(&response, registrant.psk)?;
    let expected = verify::Expected { uuid: registrant.uuid, key: key.as_ref(), terms };
    let Leaf { serial, not_after } = verify::verify(&answer, &expected, &mut notes)?;
    Ok(Issued {
        certificate: answer.certificate,
        ca_certificate: answer.ca_cert,
        private_key: key.map(|key| Secret::new(key.serialize_pem())),
        serial,
        not_after,
        notes,
    })
}

fn place(url: &str) -> Result<Place, HttpError> {
    let base: HttpUrl = url.parse()?;
    let slash = base.has_trailing_slash(url);
    let note = "the CA's address ends with a slash, which some servers refuse: it was left out";
    Ok(Place { base, notes: slash.then(|| note.to_owned()).into_iter().collect() })
}

fn signing_request(key: &KeyPair, uuid: &str) -> Result<String, CaError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, uuid);
    params.serialize_request(key).and_then(|request| request.pem()).map_err(CaError::Key)
}
