//! Why values cannot be bound. No message repeats one that may be a secret.

use std::io;

use crate::{
    client::http::HttpError,
    profile::{EndpointError, HostError, UnboundSymbol},
};

/// A unit's values cannot be bound.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum BindingError {
    #[error(
        "the value \"{name}\" is not given: pass --set {name}=VALUE, a column of --units, or [values] in the station file"
    )]
    NotGiven { name: String },
    #[error(
        "the value \"{name}\" is secret and not given: pass --set {name}=@FILE, --set {name}=$VARIABLE, a column of --units, or [values] in the station file"
    )]
    SecretNotGiven { name: String },
    #[error("the value \"{name}\" is {length} bytes long: expected {min} to {max}")]
    Length { name: String, length: usize, min: usize, max: usize },
    #[error("the value \"{name}\" holds {what}, which no value may hold")]
    Character { name: String, what: &'static str },
    #[error("the value \"{name}\" is not a number from 0 to 4294967295 without leading zeros")]
    NotANumber { name: String },
    #[error(
        "the secret \"{name}\" is the sample of the profile, which everyone can read: give one of its own"
    )]
    PublicSecret { name: String },
    #[error("the value \"{name}\" cannot be the unit's identity: {reason}")]
    Identity { name: String, reason: String },
    #[error("the value \"{name}\" is bound already")]
    BoundTwice { name: String },
    #[error(transparent)]
    Unbound(#[from] UnboundSymbol),
    #[error("the broker's address cannot be used: {0}")]
    Endpoint(#[from] EndpointError),
    #[error("a service's address cannot be used: {0}")]
    Service(#[from] HostError),
    #[error("a service's address cannot be used: {0}")]
    Url(#[from] HttpError),
    #[error(
        "the network's secret \"{template}\" has {length} bytes: WPA2 has passphrases of 8 to 63 bytes, and an open network has none"
    )]
    WifiShort { template: String, length: usize },
    #[error(
        "the network's secret \"{template}\" has 64 bytes and is not hexadecimal: WPA2 has passphrases of 8 to 63 bytes, and keys of 64 hexadecimal digits"
    )]
    WifiKey { template: String },
    #[error("no number could be leased for \"{name}\": {error}")]
    Lease { name: String, error: io::Error },
    #[error("no secret could be made for \"{name}\": {error}")]
    Random { name: String, error: io::Error },
}
