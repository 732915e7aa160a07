//! `[redirect]`: by what right the bench answers for the names that real units ask for.
//!
//! ```toml
//! [redirect]
//! trusts = "maker-root.pem"             # the CA that units trust
//! certificate = "broker.pem"            # for the names that they ask for; or ca = "maker-issuing.pem", which issues it
//! key = { file = "/run/secrets/broker.key" }
//! passphrase = { env = "KEY_PASSPHRASE" }   # where the key is encrypted
//! # or, of a CA, a key that stays on its token:
//! # key = "pkcs11:token=Maker;object=issuing?module-path=/usr/lib/softhsm/libsofthsm2.so"
//! # pin = { env = "MAKER_PIN" }
//! accept_redirect = "because the bench's network is closed and this certificate ends on Friday"
//! ```

use std::path::PathBuf;

use super::{
    Fault, Found, Reader, SecretSource, StationFileProblem, TokenKey, missing, plain, table,
    unknown,
};

const KEYS: &[&str] =
    &["trusts", "certificate", "ca", "key", "passphrase", "pin", "accept_redirect"];

/// Who certifies the bench's servers for real units, and why that is acceptable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Redirect {
    /// PEM of the CA that units trust.
    pub trusts: PathBuf,
    /// What certifies the names.
    pub by: RedirectedBy,
    /// Its private key.
    pub key: RedirectKey,
    /// Why real units may be led to the bench.
    pub because: Option<String>,
}

/// Where a private key is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RedirectKey {
    /// In PEM.
    Read {
        /// Where.
        place: SecretSource,
        /// What opens it, where it is encrypted.
        passphrase: Option<SecretSource>,
    },
    /// On a token, which it never leaves.
    Token {
        /// Which one.
        key: TokenKey,
        /// Where its PIN is.
        pin: SecretSource,
    },
}

/// What certifies the names that units ask for; PEM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RedirectedBy {
    /// A certificate that was made for them.
    Certificate(PathBuf),
    /// A CA that issues one.
    Ca(PathBuf),
}

impl Reader<'_> {
    /// `[redirect]`.
    pub(super) fn redirect(&self, whole: &Found<'_>) -> Result<Redirect, Fault> {
        let section = table("redirect", whole)?;
        for (key, _) in section {
            if !KEYS.contains(&key.get_ref().as_ref()) {
                return Err(unknown(key, KEYS));
            }
        }
        let file = |key: &'static str| {
            let file = section.get(key).map(|value| plain(key, value)).transpose()?;
            Ok(file.map(|file| self.folder.join(file)))
        };
        let source =
            |key: &'static str| section.get(key).map(|value| self.source(key, value)).transpose();
        let by = match (file("certificate")?, file("ca")?) {
            (Some(file), None) => RedirectedBy::Certificate(file),
            (None, Some(file)) => RedirectedBy::Ca(file),
            (Some(_), Some(_)) | (None, None) => {
                return Err((whole.span(), StationFileProblem::RedirectedBy));
            }
        };
        let key = section.get("key").ok_or_else(|| missing(whole, "redirect", "key"))?;
        let on_token = key.get_ref().as_str().filter(|text| text.starts_with("pkcs11:"));
        let alone = |here: &'static str, needs| {
            let at = section.get(here).map(Found::span);
            at.map_or(Ok(()), |at| Err((at, StationFileProblem::Alone { key: here, needs })))
        };
        let key = match on_token {
            Some(uri) => {
                alone("passphrase", "an encrypted key in a file")?;
                if let RedirectedBy::Certificate(_) = by {
                    return Err((key.span(), StationFileProblem::TokenOfServer));
                }
                let parsed =
                    uri.parse().map_err(|error| (key.span(), StationFileProblem::TokenKey(error)));
                let pin = source("pin")?.ok_or_else(|| missing(whole, "redirect", "pin"))?;
                RedirectKey::Token { key: parsed?, pin }
            }
            None => {
                alone("pin", "a key on a token: key = \"pkcs11:…\"")?;
                RedirectKey::Read {
                    place: self.source("key", key)?,
                    passphrase: source("passphrase")?,
                }
            }
        };
        let because = section.get("accept_redirect");
        let because = because.map(|value| plain("accept_redirect", value)).transpose()?;
        Ok(Redirect {
            trusts: file("trusts")?.ok_or_else(|| missing(whole, "redirect", "trusts"))?,
            by,
            key,
            because: because.filter(|because| !because.trim().is_empty()),
        })
    }
}
