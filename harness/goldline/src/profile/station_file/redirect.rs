//! `[redirect]`: by what right the bench answers for the names that real units ask for.
//!
//! ```toml
//! [redirect]
//! trusts = "maker-root.pem"             # the CA that units trust
//! certificate = "broker.pem"            # for the names that they ask for; or ca = "maker-issuing.pem", which issues it
//! key = { file = "/run/secrets/broker.key" }
//! passphrase = { env = "KEY_PASSPHRASE" }   # where the key is encrypted
//! accept_redirect = "because the bench's network is closed and this certificate ends on Friday"
//! ```

use std::path::PathBuf;

use super::{
    Fault, Found, Reader, SecretSource, StationFileProblem, missing, plain, table, unknown,
};

const KEYS: &[&str] = &["trusts", "certificate", "ca", "key", "passphrase", "accept_redirect"];

/// Who certifies the bench's servers for real units, and why that is acceptable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Redirect {
    /// PEM of the CA that units trust.
    pub trusts: PathBuf,
    /// What certifies the names.
    pub by: RedirectedBy,
    /// Its private key.
    pub key: SecretSource,
    /// What opens the key.
    pub passphrase: Option<SecretSource>,
    /// Why real units may be led to the bench.
    pub because: Option<String>,
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
        let because = section.get("accept_redirect");
        let because = because.map(|value| plain("accept_redirect", value)).transpose()?;
        Ok(Redirect {
            trusts: file("trusts")?.ok_or_else(|| missing(whole, "redirect", "trusts"))?,
            by,
            key: source("key")?.ok_or_else(|| missing(whole, "redirect", "key"))?,
            passphrase: source("passphrase")?,
            because: because.filter(|because| !because.trim().is_empty()),
        })
    }
}
