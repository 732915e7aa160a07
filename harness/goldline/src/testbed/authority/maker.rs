//! Who certifies the bench's servers where units trust a CA of their maker's, and not the bench's: a certificate that
//! was made for their names, or the CA itself.
//!
//! Must not know where the files lie. What is shown is judged as a unit would judge it before any unit sees it.

use pkcs8::{EncryptedPrivateKeyInfo, SecretDocument, der::pem::LineEnding};
use rcgen::{
    CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData, SignatureAlgorithm, SigningKey,
};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use time::{Duration, OffsetDateTime};

use super::{
    AuthorityError, Issued, Signed, stamp,
    token::{TokenError, TokenSigner},
};
use crate::{
    clock::Clock,
    profile::TokenKey,
    secret::Secret,
    tls::{AnchorError, Anchors, Distrust, judge},
};

/// Names by which this machine is called, and no unit calls it.
const OWN_NAMES: [&str; 2] = ["localhost", "127.0.0.1"];
/// What is issued for a bench need not outlive its day.
const LONGEST: Duration = Duration::days(2);

/// Who certifies the names of the bench's servers, in place of the bench.
pub struct Maker {
    trusted_pem: String,
    anchors: Anchors,
    certifies: Certifies,
    clock: Clock,
}

enum Certifies {
    /// One certificate, for all names that are asked for.
    With(Box<Issued>),
    /// A CA, each name as it is asked for.
    As { ca_pem: String, issuer: Box<Issuer<'static, CaKey>> },
}

/// What signs for a maker's CA.
enum CaKey {
    /// A key in this process.
    Here(Box<KeyPair>),
    /// One on a token, which it never leaves.
    OnToken(TokenSigner),
}

impl PublicKeyData for CaKey {
    fn der_bytes(&self) -> &[u8] {
        match self {
            Self::Here(key) => key.der_bytes(),
            Self::OnToken(signer) => signer.der_bytes(),
        }
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self {
            Self::Here(key) => PublicKeyData::algorithm(key.as_ref()),
            Self::OnToken(signer) => signer.algorithm(),
        }
    }
}

impl SigningKey for CaKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        match self {
            Self::Here(key) => key.sign(message),
            Self::OnToken(signer) => signer.sign(message),
        }
    }
}

/// A maker's certificate or CA cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum MakerError {
    #[error("the CA that units trust: {0}")]
    Trusted(#[from] AnchorError),
    #[error("the certificate holds nothing that can be read: {0}")]
    Certificate(String),
    #[error("the key cannot be read: {0}; expected PKCS#8 in PEM")]
    Key(String),
    #[error("the key is encrypted, and no passphrase is given")]
    NoPassphrase,
    #[error("the passphrase does not open the key")]
    WrongPassphrase,
    #[error("the key is not that of the certificate")]
    OtherKey,
    #[error(transparent)]
    Token(Box<TokenError>),
    #[error("what the CA issues would not be trusted by units: {0}")]
    NotTrusted(Distrust),
}

impl From<TokenError> for MakerError {
    fn from(error: TokenError) -> Self {
        Self::Token(Box::new(error))
    }
}

/// What the two of a maker have in common: texts in PEM.
#[derive(Clone, Debug)]
pub struct MakerPem {
    /// What units trust.
    pub trusted: String,
    /// The certificate for the servers' names with those between, or the CA's own.
    pub certificate: String,
    /// Its key, PKCS#8.
    pub key: Secret,
    /// What opens the key, where it is encrypted.
    pub passphrase: Option<Secret>,
}

impl Maker {
    /// One that has a certificate for the names.
    ///
    /// # Errors
    /// [`MakerError`] names what does not fit.
    pub fn with_certificate(pem: &MakerPem, clock: Clock) -> Result<Self, MakerError> {
        let anchors = trusted(&pem.trusted, &clock)?;
        let (key, serial, expires) = key_of_certificate(pem)?;
        let signed = Signed {
            certificate: pem.certificate.clone(),
            chain: pem.certificate.clone(),
            serial,
            expires,
        };
        let issued = Issued { signed, key: Secret::new(key.serialize_pem()) };
        let certifies = Certifies::With(Box::new(issued));
        Ok(Self { trusted_pem: pem.trusted.clone(), anchors, certifies, clock })
    }

    /// One that is the CA; it issues for no longer than two days.
    ///
    /// # Errors
    /// [`MakerError`] names what does not fit.
    pub fn as_ca(pem: &MakerPem, clock: Clock) -> Result<Self, MakerError> {
        let (key, ..) = key_of_certificate(pem)?;
        Self::signing_with(CaKey::Here(Box::new(key)), (&pem.trusted, &pem.certificate), clock)
    }

    /// One that is the CA, whose key stays on a token; certificates are PEM.
    ///
    /// # Errors
    /// [`MakerError`] names what does not fit. A wrong PIN is tried once.
    pub fn as_ca_on_token(
        (trusted, certificate): (&str, &str),
        (key, pin): (&TokenKey, &Secret),
        clock: Clock,
    ) -> Result<Self, MakerError> {
        let signer = TokenSigner::open(key, pin, certificate)?;
        Self::signing_with(CaKey::OnToken(signer), (trusted, certificate), clock)
    }

    fn signing_with(
        key: CaKey,
        (trusted_pem, ca_pem): (&str, &str),
        clock: Clock,
    ) -> Result<Self, MakerError> {
        let anchors = trusted(trusted_pem, &clock)?;
        let issuer = Issuer::from_ca_cert_pem(ca_pem, key)
            .map_err(|error| MakerError::Certificate(error.to_string()))?;
        let certifies = Certifies::As { ca_pem: ca_pem.to_owned(), issuer: Box::new(issuer) };
        let maker = Self { trusted_pem: trusted_pem.to_owned(), anchors, certifies, clock };
        // A CA that may not issue, or of which nobody knows, is found now and not by the first unit.
        let names = ["trial.example.test".to_owned()];
        match maker.issue_server(&names, LONGEST) {
            Err(AuthorityError::NotTrusted { why, .. }) => Err(MakerError::NotTrusted(why)),
            Err(error) => Err(MakerError::Certificate(error.to_string())),
            Ok(_) => Ok(maker),
        }
    }

    /// PEM of what units trust.
    pub fn trusted_pem(&self) -> &str {
        &self.trusted_pem
    }

    /// What a server of these names shows.
    pub(super) fn issue_server(
        &self,
        names: &[String],
        validity: Duration,
    ) -> Result<Issued, AuthorityError> {
        let issued = match &self.certifies {
            Certifies::With(issued) => Issued::clone(issued),
            Certifies::As { ca_pem, issuer } => self.issue(names, validity, ca_pem, issuer)?,
        };
        let asked = names.iter().filter(|name| !OWN_NAMES.contains(&name.as_str()));
        for name in asked {
            self.require_trusted(name, &issued.signed.chain)?;
        }
        Ok(issued)
    }

    fn issue(
        &self,
        names: &[String],
        validity: Duration,
        ca_pem: &str,
        issuer: &Issuer<'static, CaKey>,
    ) -> Result<Issued, AuthorityError> {
        let subject = names.first().map_or("a server without a name", String::as_str);
        let refuse = |source| AuthorityError::Issue { subject: subject.to_owned(), source };
        let mut params = CertificateParams::new(names).map_err(refuse)?;
        let serial = stamp(&mut params, subject, self.clock.now(), validity.min(LONGEST))?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().map_err(refuse)?;
        let certificate = params.signed_by(&key, issuer).map_err(refuse)?.pem();
        let signed = Signed {
            chain: format!("{certificate}{ca_pem}"),
            certificate,
            serial,
            expires: params.not_after,
        };
        Ok(Issued { signed, key: Secret::new(key.serialize_pem()) })
    }

    fn require_trusted(&self, name: &str, chain: &str) -> Result<(), AuthorityError> {
        let subject = || name.to_owned();
        let refuse = |source| AuthorityError::Issue { subject: subject(), source };
        let host = ServerName::try_from(name).map_err(|_| refuse(rcgen::Error::InvalidNameType))?;
        let shown: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(chain.as_bytes()).filter_map(Result::ok).collect();
        let judged = judge(&shown, &self.anchors, &host, self.clock.now());
        judged.map(drop).map_err(|why| AuthorityError::NotTrusted { name: subject(), why })
    }
}

fn trusted(pem: &str, clock: &Clock) -> Result<Anchors, MakerError> {
    let anchors = Anchors::from_pem(pem)?;
    anchors.require_valid(clock.now())?;
    Ok(anchors)
}

fn private_key(pem: &MakerPem) -> Result<KeyPair, MakerError> {
    let text = pem.key.expose();
    let unreadable = |error: String| MakerError::Key(error);
    let plain = match text.contains("BEGIN ENCRYPTED PRIVATE KEY") {
        false => text.to_owned(),
        true => {
            let passphrase = pem.passphrase.as_ref().ok_or(MakerError::NoPassphrase)?;
            let (_, document) =
                SecretDocument::from_pem(text).map_err(|e| unreadable(e.to_string()))?;
            let encrypted = EncryptedPrivateKeyInfo::try_from(document.as_bytes())
                .map_err(|error| unreadable(error.to_string()))?;
            let opened =
                encrypted.decrypt(passphrase.expose()).map_err(|_| MakerError::WrongPassphrase)?;
            let opened = opened
                .to_pem("PRIVATE KEY", LineEnding::LF)
                .map_err(|error| unreadable(error.to_string()))?;
            opened.as_str().to_owned()
        }
    };
    KeyPair::from_pem(&plain).map_err(|error| unreadable(error.to_string()))
}

/// The key, which must be the first certificate's; and that one's serial number and last moment.
fn key_of_certificate(pem: &MakerPem) -> Result<(KeyPair, String, OffsetDateTime), MakerError> {
    let unreadable = |error: String| MakerError::Certificate(error);
    let key = private_key(pem)?;
    let (_, first) = x509_parser::pem::parse_x509_pem(pem.certificate.as_bytes())
        .map_err(|error| unreadable(error.to_string()))?;
    let own = first.parse_x509().map_err(|error| unreadable(error.to_string()))?;
    if PublicKeyData::subject_public_key_info(&key) != own.public_key().raw {
        return Err(MakerError::OtherKey);
    }
    let serial = format!("{:x}", own.tbs_certificate.serial);
    Ok((key, serial, own.validity().not_after.to_datetime()))
}
