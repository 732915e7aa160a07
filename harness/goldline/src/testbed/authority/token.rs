//! A CA's private key on a PKCS#11 token: it signs there, and never leaves it.
//!
//! A PIN is given once: a token that was given a wrong one is not given another before somebody has logged in by hand,
//! because it locks after a few. Must not know what is signed.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
    mechanism::Mechanism,
    object::{Attribute, KeyType, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    slot::{Slot, TokenInfo},
    types::AuthPin,
};
use pkcs8::der::{
    Encode,
    asn1::{SequenceOf, UintRef},
};
use rcgen::{
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey,
};
use ring::signature::{ECDSA_P256_SHA256_ASN1, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use sha2::{Digest, Sha256};
use x509_parser::public_key::PublicKey;

use crate::{
    hex::hex,
    profile::{TokenKey, TokenTerms},
    secret::Secret,
};

/// What is signed to see whether the key is the certificate's.
const TRIAL: &[u8] = b"whether this key is that of the certificate";
/// DER of a SHA-256 digest without its 32 bytes (RFC 8017, 9.2).
const SHA256_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];
const SHORTEST_RSA: usize = 2048;

/// A key on a token cannot be used. No message holds a PIN.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum TokenError {
    #[error("the PKCS#11 module {} cannot be loaded: {why}", .module.display())]
    Module { module: PathBuf, why: String },
    #[error("no token is there that is {wanted}: there {}", there(.found))]
    NoToken { wanted: String, found: Vec<String> },
    #[error("{count} tokens are {wanted}: expected one")]
    Tokens { wanted: String, count: usize },
    #[error("the token {token} takes no such PIN; it was given once, and will not be given again")]
    WrongPin { token: String },
    #[error("the token {token} was given a wrong PIN before, and a few lock it: nothing was tried")]
    PinInDoubt { token: String },
    #[error("the token {token} is locked: too many wrong PINs were given")]
    Locked { token: String },
    #[error("the token {token} has no private key {wanted}: it has {}", keys(.found))]
    NoKey { token: String, wanted: String, found: Vec<String> },
    #[error("the token {token} has {count} private keys {wanted}: expected one")]
    Keys { token: String, wanted: String, count: usize },
    #[error(
        "the certificate's key is {found}: expected ECDSA on P-256, or RSA with 2048 bits or more"
    )]
    Algorithm { found: String },
    #[error("the key on the token {token} is not that of the certificate")]
    OtherKey { token: String },
    #[error("the certificate cannot be read: {0}")]
    Certificate(String),
    #[error("the token {token} failed to {action}: {error}")]
    Failed { token: String, action: &'static str, error: Error },
}

fn there(found: &[String]) -> String {
    if found.is_empty() { "is none".to_owned() } else { format!("are {}", found.join(", ")) }
}

fn keys(found: &[String]) -> String {
    if found.is_empty() { "none".to_owned() } else { found.join(", ") }
}

impl TokenError {
    /// What to do about it.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Module { .. } => {
                "install the token's PKCS#11 module, and give its absolute path as module-path in `key` of [redirect]"
            }
            Self::NoToken { .. } | Self::Tokens { .. } => {
                "plug the token in, and compare `key` of [redirect] with what pkcs11-tool --list-slots shows"
            }
            Self::WrongPin { .. } => {
                "correct the place in `pin` of [redirect]; then log in once by hand (pkcs11-tool --login --list-objects), which takes the mistake back"
            }
            Self::PinInDoubt { .. } => {
                "log in once by hand with the right PIN (pkcs11-tool --login --list-objects), and look whether `pin` of [redirect] names that one"
            }
            Self::Locked { .. } => "have the token's security officer set a new PIN",
            Self::NoKey { .. } | Self::Keys { .. } => {
                "compare object and id in `key` of [redirect] with what pkcs11-tool --login --list-objects shows"
            }
            Self::Algorithm { .. } => "name a CA with a key of these kinds",
            Self::OtherKey { .. } | Self::Certificate(_) => {
                "name the certificate that belongs to this key, or the key that belongs to it, in [redirect]"
            }
            Self::Failed { .. } => "see in the message what failed, and try it with pkcs11-tool",
        }
    }
}

/// A private key on a token that somebody logged in to.
pub(super) struct TokenSigner {
    /// A session is used by one thread at a time.
    session: Mutex<Session>,
    key: ObjectHandle,
    kind: Kind,
    /// The certificate's public key, as it stands in it.
    public: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    P256,
    Rsa,
}

impl TokenSigner {
    /// Logs in to the token and finds the key of a certificate, PEM.
    ///
    /// # Errors
    /// [`TokenError`] says what is missing, or does not fit.
    pub(super) fn open(
        wanted: &TokenKey,
        pin: &Secret,
        certificate: &str,
    ) -> Result<Self, TokenError> {
        let (kind, public) = public_key(certificate)?;
        let pkcs11 = module(wanted)?;
        let (slot, info) = token(&pkcs11, wanted)?;
        let name = info.label().to_owned();
        let failed = |action| {
            let token = name.clone();
            move |error| TokenError::Failed { token, action, error }
        };
        let session = pkcs11.open_ro_session(slot).map_err(failed("open a session"))?;
        log_in(&session, &info, pin)?;
        let key = private_key(&session, wanted, kind, &name)?;
        let signer = Self { session: Mutex::new(session), key, kind, public };
        let signature = signer.signed(TRIAL).map_err(failed("sign"))?;
        match signer.verifies(TRIAL, &signature) {
            true => Ok(signer),
            false => Err(TokenError::OtherKey { token: name }),
        }
    }

    fn signed(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let digest = Sha256::digest(message);
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        match self.kind {
            Kind::P256 => {
                let halves = session.sign(&Mechanism::Ecdsa, self.key, &digest)?;
                in_der(&halves).ok_or(Error::InvalidValue)
            }
            Kind::Rsa => {
                let info = [&SHA256_INFO[..], &digest].concat();
                session.sign(&Mechanism::RsaPkcs, self.key, &info)
            }
        }
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match self.kind {
            Kind::P256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.public)
                .verify(message, signature),
            Kind::Rsa => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.public)
                .verify(message, signature),
        };
        verified.is_ok()
    }
}

impl PublicKeyData for TokenSigner {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self.kind {
            Kind::P256 => &PKCS_ECDSA_P256_SHA256,
            Kind::Rsa => &PKCS_RSA_SHA256,
        }
    }
}

impl SigningKey for TokenSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.signed(message).map_err(|error| {
            tracing::warn!(%error, "the token did not sign");
            rcgen::Error::RemoteKeyError
        })
    }
}

/// A token gives both halves of a signature one after the other; a certificate holds them as two numbers.
fn in_der(halves: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = halves.split_at_checked(halves.len() / 2).filter(|(r, s)| r.len() == s.len())?;
    let mut numbers = SequenceOf::<UintRef<'_>, 2>::new();
    numbers.add(UintRef::new(r).ok()?).ok()?;
    numbers.add(UintRef::new(s).ok()?).ok()?;
    numbers.to_der().ok()
}

/// The kind of the first certificate's key, and its bytes.
fn public_key(pem: &str) -> Result<(Kind, Vec<u8>), TokenError> {
    let unreadable = |error: String| TokenError::Certificate(error);
    let (_, first) = x509_parser::pem::parse_x509_pem(pem.as_bytes())
        .map_err(|error| unreadable(error.to_string()))?;
    let own = first.parse_x509().map_err(|error| unreadable(error.to_string()))?;
    let key = own.public_key();
    let kind = match key.parsed().map_err(|error| unreadable(error.to_string()))? {
        PublicKey::EC(point) if point.key_size() == 256 => Kind::P256,
        PublicKey::RSA(rsa) if rsa.key_size() >= SHORTEST_RSA => Kind::Rsa,
        PublicKey::EC(point) => {
            return Err(TokenError::Algorithm {
                found: format!("ECDSA of {} bits", point.key_size()),
            });
        }
        PublicKey::RSA(rsa) => {
            return Err(TokenError::Algorithm { found: format!("RSA of {} bits", rsa.key_size()) });
        }
        _ => return Err(TokenError::Algorithm { found: "of another kind".to_owned() }),
    };
    Ok((kind, key.subject_public_key.data.to_vec()))
}

fn module(wanted: &TokenKey) -> Result<Pkcs11, TokenError> {
    let refused = |error: &dyn std::fmt::Display| TokenError::Module {
        module: wanted.module.clone(),
        why: error.to_string(),
    };
    let pkcs11 = Pkcs11::new(&wanted.module).map_err(|error| refused(&error))?;
    match pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        // By an earlier attempt of this command.
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(pkcs11),
        Err(error) => Err(refused(&error)),
    }
}

fn token(pkcs11: &Pkcs11, wanted: &TokenKey) -> Result<(Slot, TokenInfo), TokenError> {
    let terms = || wanted.token.to_string();
    let failed = |error| {
        let (token, action) = (terms(), "tell what is there");
        TokenError::Failed { token, action, error }
    };
    let slots = pkcs11.get_slots_with_initialized_token().map_err(failed)?;
    // One that was pulled meanwhile is not there.
    let infos =
        slots.into_iter().filter_map(|slot| Some((slot, pkcs11.get_token_info(slot).ok()?)));
    let (mut right, others): (Vec<_>, Vec<_>) =
        infos.partition(|(slot, info)| meets(&wanted.token, *slot, info));
    match right.len() {
        1 => Ok(right.remove(0)),
        0 => {
            let found = others.iter().map(|(_, info)| format!("token={}", info.label())).collect();
            Err(TokenError::NoToken { wanted: terms(), found })
        }
        count => Err(TokenError::Tokens { wanted: terms(), count }),
    }
}

fn meets(terms: &TokenTerms, slot: Slot, info: &TokenInfo) -> bool {
    let is = |wanted: &Option<String>, found: &str| {
        wanted.as_ref().is_none_or(|wanted| wanted == found.trim_end())
    };
    is(&terms.label, info.label())
        && is(&terms.serial, info.serial_number())
        && is(&terms.model, info.model())
        && is(&terms.manufacturer, info.manufacturer_id())
        && terms.slot.is_none_or(|wanted| wanted == slot.id())
}

/// Once, and never where a wrong PIN was given before.
fn log_in(session: &Session, info: &TokenInfo, pin: &Secret) -> Result<(), TokenError> {
    let token = || info.label().to_owned();
    if info.user_pin_locked() {
        return Err(TokenError::Locked { token: token() });
    }
    if info.user_pin_count_low() || info.user_pin_final_try() {
        return Err(TokenError::PinInDoubt { token: token() });
    }
    match session.login(UserType::User, Some(&AuthPin::new(pin.expose().into()))) {
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
        Err(Error::Pkcs11(
            RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange,
            _,
        )) => Err(TokenError::WrongPin { token: token() }),
        Err(Error::Pkcs11(RvError::PinLocked, _)) => Err(TokenError::Locked { token: token() }),
        Err(error) => Err(TokenError::Failed { token: token(), action: "log in", error }),
    }
}

fn private_key(
    session: &Session,
    wanted: &TokenKey,
    kind: Kind,
    token: &str,
) -> Result<ObjectHandle, TokenError> {
    let failed = |error| {
        let (token, action) = (token.to_owned(), "find its keys");
        TokenError::Failed { token, action, error }
    };
    let all = [Attribute::Class(ObjectClass::PRIVATE_KEY)];
    let mut terms = all.to_vec();
    terms.extend(wanted.label.as_ref().map(|label| Attribute::Label(label.clone().into_bytes())));
    terms.extend(wanted.id.as_ref().map(|id| Attribute::Id(id.clone())));
    terms.push(Attribute::KeyType(match kind {
        Kind::P256 => KeyType::EC,
        Kind::Rsa => KeyType::RSA,
    }));
    let found = session.find_objects(&terms).map_err(failed)?;
    match found[..] {
        [key] => Ok(key),
        [] => {
            let others = session.find_objects(&all).map_err(failed)?;
            let found = others.into_iter().map(|key| label_of(session, key)).collect();
            let (token, wanted) = (token.to_owned(), words(wanted, kind));
            Err(TokenError::NoKey { token, wanted, found })
        }
        _ => {
            let (token, wanted, count) = (token.to_owned(), words(wanted, kind), found.len());
            Err(TokenError::Keys { token, wanted, count })
        }
    }
}

fn label_of(session: &Session, key: ObjectHandle) -> String {
    use cryptoki::object::AttributeType;
    let attributes = session.get_attributes(key, &[AttributeType::Label]).unwrap_or_default();
    let label = attributes.into_iter().find_map(|attribute| match attribute {
        Attribute::Label(label) => Some(String::from_utf8_lossy(&label).into_owned()),
        _ => None,
    });
    label.map_or_else(|| "one without a label".to_owned(), |label| format!("object={label}"))
}

fn words(wanted: &TokenKey, kind: Kind) -> String {
    let label = wanted.label.as_ref().map(|label| format!("object={label}"));
    let id = wanted.id.as_ref().map(|id| format!("id={}", hex(id)));
    let named: Vec<String> = label.into_iter().chain(id).collect();
    let kind = match kind {
        Kind::P256 => "of ECDSA, as the certificate's is",
        Kind::Rsa => "of RSA, as the certificate's is",
    };
    format!("{} {kind}", named.join(";"))
}
