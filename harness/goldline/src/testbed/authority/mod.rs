//! The bench's certificate authority: a root, an intermediate, and what they issue.
//!
//! Must not know who asks or where the files lie; it turns names and keys into PEM. All keys are
//! ECDSA P-256, all certificates X.509 v3 with bounded validity (RFC 5280). Private keys leave as
//! [`Secret`] only.

mod maker;
mod stored;
mod token;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData,
    SerialNumber,
};
use time::{Duration, OffsetDateTime};

pub use maker::{Maker, MakerError, MakerPem};
pub use stored::AuthorityPem;
pub use token::TokenError;

use crate::{clock::Clock, hex::hex, secret::Secret, tls::Distrust};

const ROOT_VALIDITY: Duration = Duration::days(3650);
const INTERMEDIATE_VALIDITY: Duration = Duration::days(1825);
/// A unit whose clock is a little behind must not refuse a certificate of today.
const CLOCK_SKEW: Duration = Duration::days(1);
/// RFC 5280 allows 20 bytes; 16 random ones never repeat.
const SERIAL_BYTES: usize = 16;

/// Why the authority cannot be loaded or cannot issue.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A name cannot stand in a certificate, or the library refused the content.
    #[error("cannot issue a certificate for {subject}: {source}; correct the name")]
    Issue {
        /// For whom.
        subject: String,
        /// The library's reason.
        source: rcgen::Error,
    },
    /// A signing request is damaged or its signature is not by its own key.
    #[error(
        "the signing request for {subject} is not acceptable: {source}; make a new PKCS#10 request with an ECDSA P-256 key"
    )]
    Request {
        /// For whom.
        subject: String,
        /// The library's reason.
        source: rcgen::Error,
    },
    /// A stored part cannot be read.
    #[error(
        "the {part} of the bench CA cannot be read: {reason}; restore it or remove the bench CA from the state directory"
    )]
    Unreadable {
        /// Which part.
        part: &'static str,
        /// What the parser says; never key material.
        reason: String,
    },
    /// A stored certificate is not valid now.
    #[error(
        "the {part} of the bench CA is valid from {from} to {until}, and now it is {now}: correct the clock or make a new bench CA"
    )]
    NotValidNow {
        /// Which part.
        part: &'static str,
        /// First moment of validity.
        from: OffsetDateTime,
        /// Last moment of validity.
        until: OffsetDateTime,
        /// What the clock says.
        now: OffsetDateTime,
    },
    /// A stored certificate and a stored key, or two certificates, do not belong together.
    #[error(
        "the {part} of the bench CA does not belong to its {expected}: restore both from one backup or make a new bench CA"
    )]
    Mismatch {
        /// Which part.
        part: &'static str,
        /// What it should belong to.
        expected: &'static str,
    },
    /// What a server of that name would show is not trusted by units.
    #[error(
        "units would not trust what a server shows them as \"{name}\": {why}; give a certificate for that name"
    )]
    NotTrusted {
        /// Its name.
        name: String,
        /// Why not.
        why: Distrust,
    },
    /// The operating system's generator failed.
    #[error("the operating system gives no random bytes: {0}; check the machine")]
    Random(getrandom::Error),
}

/// A certificate for somebody else's key.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The certificate alone, PEM.
    pub certificate: String,
    /// The certificate followed by the intermediate, PEM: what a TLS peer must send.
    pub chain: String,
    /// Serial number in lowercase hex.
    pub serial: String,
    /// Last moment of validity.
    pub expires: OffsetDateTime,
}

/// A certificate and the key that was made for it.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate.
    pub signed: Signed,
    /// PKCS#8 PEM.
    pub key: Secret,
}

/// A certificate authority that can issue.
pub struct Authority {
    pem: AuthorityPem,
    intermediate: Issuer<'static, KeyPair>,
    /// Who certifies servers in its place.
    maker: Option<Maker>,
    clock: Clock,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes a new root and intermediate with fresh keys.
    ///
    /// # Errors
    /// [`AuthorityError::Random`] and [`AuthorityError::Issue`] when the machine cannot make keys.
    pub fn create(clock: Clock) -> Result<Self, AuthorityError> {
        let subject = "the bench CA";
        let refuse = |source| AuthorityError::Issue { subject: subject.to_owned(), source };
        let now = clock.now();

        // Two bench CAs must differ in name, or a client takes one for a forgery of the other.
        let mut tag = [0; 4];
        getrandom::fill(&mut tag).map_err(AuthorityError::Random)?;
        let tag = hex(&tag);

        let root_key = KeyPair::generate().map_err(refuse)?;
        let root_params = authority_params(
            &format!("Goldline Bench Root {tag}"),
            BasicConstraints::Constrained(1),
            now,
            ROOT_VALIDITY,
        )?;
        let root = root_params.self_signed(&root_key).map_err(refuse)?;

        let key = KeyPair::generate().map_err(refuse)?;
        let params = authority_params(
            &format!("Goldline Bench Intermediate {tag}"),
            BasicConstraints::Constrained(0),
            now,
            INTERMEDIATE_VALIDITY,
        )?;
        let signer = Issuer::from_params(&root_params, &root_key);
        let certificate = params.signed_by(&key, &signer).map_err(refuse)?;

        let pem = AuthorityPem {
            root_certificate: root.pem(),
            root_key: Secret::new(root_key.serialize_pem()),
            intermediate_certificate: certificate.pem(),
            intermediate_key: Secret::new(key.serialize_pem()),
        };
        Ok(Self { pem, intermediate: Issuer::new(params, key), maker: None, clock })
    }

    /// Takes a stored authority up again.
    ///
    /// # Errors
    /// [`AuthorityError::Unreadable`], [`AuthorityError::NotValidNow`] and
    /// [`AuthorityError::Mismatch`] name the part that is wrong.
    pub fn load(pem: AuthorityPem, clock: Clock) -> Result<Self, AuthorityError> {
        let key = stored::verify(&pem, clock.now())?;
        let intermediate =
            Issuer::from_ca_cert_pem(&pem.intermediate_certificate, key).map_err(|source| {
                AuthorityError::Unreadable {
                    part: "intermediate certificate",
                    reason: source.to_string(),
                }
            })?;
        Ok(Self { pem, intermediate, maker: None, clock })
    }

    /// With a maker who certifies servers in its place. Devices are certified as before.
    #[must_use]
    pub fn with_servers_of(self, maker: Maker) -> Self {
        Self { maker: Some(maker), ..self }
    }

    /// PEM of what must be trusted to trust the bench's servers: its root, and what a maker's units trust.
    pub fn server_trust(&self) -> String {
        match &self.maker {
            Some(maker) => [self.root_pem(), maker.trusted_pem()].join("\n"),
            None => self.root_pem().to_owned(),
        }
    }

    /// PEM of whom its servers show: the bench's root and intermediate, or what a maker's units trust.
    pub fn shown_by_servers(&self) -> String {
        match &self.maker {
            Some(maker) => maker.trusted_pem().to_owned(),
            None => [self.root_pem(), self.intermediate_pem()].concat(),
        }
    }

    /// What must be stored to [`Authority::load`] it again.
    pub fn to_pem(&self) -> &AuthorityPem {
        &self.pem
    }

    /// The root certificate: what a unit must trust.
    pub fn root_pem(&self) -> &str {
        &self.pem.root_certificate
    }

    /// The intermediate certificate.
    pub fn intermediate_pem(&self) -> &str {
        &self.pem.intermediate_certificate
    }

    /// Issues a server certificate for DNS names and IP addresses; the first name is its common name.
    ///
    /// # Errors
    /// [`AuthorityError::Issue`] when a name is not an ASCII DNS name or there is none.
    pub fn issue_server(
        &self,
        names: &[String],
        validity: Duration,
    ) -> Result<Issued, AuthorityError> {
        if let Some(maker) = &self.maker {
            return maker.issue_server(names, validity);
        }
        let subject = names.first().map_or("a server without a name", String::as_str);
        let refuse = |source| AuthorityError::Issue { subject: subject.to_owned(), source };
        if names.is_empty() {
            return Err(refuse(rcgen::Error::InvalidNameType));
        }
        let params = CertificateParams::new(names).map_err(refuse)?;
        self.issue(subject, params, ExtendedKeyUsagePurpose::ServerAuth, validity)
    }

    /// Issues a client certificate and its key for a device; the common name is the device's id.
    ///
    /// # Errors
    /// [`AuthorityError::Issue`] when the library refuses the name.
    pub fn issue_device(
        &self,
        common_name: &str,
        validity: Duration,
    ) -> Result<Issued, AuthorityError> {
        let params = CertificateParams::default();
        self.issue(common_name, params, ExtendedKeyUsagePurpose::ClientAuth, validity)
    }

    /// Signs a device's own key. The request proves possession of the key; subject, usages and
    /// validity are the authority's, whatever the request asks for.
    ///
    /// # Errors
    /// [`AuthorityError::Request`] when the PKCS#10 PEM is damaged or not signed by its own key.
    pub fn sign_request(
        &self,
        request: &str,
        common_name: &str,
        validity: Duration,
    ) -> Result<Signed, AuthorityError> {
        let refuse = |source| AuthorityError::Request { subject: common_name.to_owned(), source };
        let request = CertificateSigningRequestParams::from_pem(request).map_err(refuse)?;
        let params = CertificateParams::default();
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        self.sign(common_name, params, usage, validity, &request.public_key)
    }

    fn issue(
        &self,
        subject: &str,
        params: CertificateParams,
        usage: ExtendedKeyUsagePurpose,
        validity: Duration,
    ) -> Result<Issued, AuthorityError> {
        let key = KeyPair::generate()
            .map_err(|source| AuthorityError::Issue { subject: subject.to_owned(), source })?;
        let signed = self.sign(subject, params, usage, validity, &key)?;
        Ok(Issued { signed, key: Secret::new(key.serialize_pem()) })
    }

    fn sign(
        &self,
        subject: &str,
        mut params: CertificateParams,
        usage: ExtendedKeyUsagePurpose,
        validity: Duration,
        public_key: &impl PublicKeyData,
    ) -> Result<Signed, AuthorityError> {
        let serial = stamp(&mut params, subject, self.clock.now(), validity)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let certificate = params
            .signed_by(public_key, &self.intermediate)
            .map_err(|source| AuthorityError::Issue { subject: subject.to_owned(), source })?
            .pem();
        Ok(Signed {
            chain: format!("{certificate}{}", self.pem.intermediate_certificate),
            certificate,
            serial,
            expires: params.not_after,
        })
    }
}

fn authority_params(
    name: &str,
    constraints: BasicConstraints,
    now: OffsetDateTime,
    validity: Duration,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    stamp(&mut params, name, now, validity)?;
    params.is_ca = IsCa::Ca(constraints);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// Sets what every certificate must have and the library leaves at odd defaults; returns the serial.
fn stamp(
    params: &mut CertificateParams,
    common_name: &str,
    now: OffsetDateTime,
    validity: Duration,
) -> Result<String, AuthorityError> {
    let mut serial = [0; SERIAL_BYTES];
    getrandom::fill(&mut serial).map_err(AuthorityError::Random)?;
    // RFC 5280 wants a positive integer; a clear top bit and a set one below keep the length fixed.
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = now - CLOCK_SKEW;
    params.not_after = now + validity;
    params.use_authority_key_identifier_extension = true;
    Ok(hex(&serial))
}
