//! What is wrong with a device URL, and the option values that several kinds of device take.

use std::path::PathBuf;

use crate::{
    device::sequence::SequenceError,
    profile::{Chip, UnknownChip},
};

/// A text is no device URL.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DeviceUrlError {
    /// No such kind of device.
    #[error(
        "unknown device \"{url}\": expected simulator:, esp-emu:, qemu:, /dev/…, serial:…, rfc2217://HOST:PORT, socket://HOST:PORT, unix:PATH, or wokwi:"
    )]
    Scheme {
        /// As given.
        url: String,
    },
    /// A port on the network has no place.
    #[error("the device \"{url}\" names no host and port: expected {scheme}HOST:PORT")]
    Address {
        /// As given.
        url: String,
        /// How it begins.
        scheme: &'static str,
    },
    /// No such option.
    #[error("unknown option \"{option}\" in device \"{url}\": expected one of {expected}")]
    Option {
        /// As given.
        url: String,
        /// The option's name.
        option: String,
        /// The names there are.
        expected: &'static str,
    },
    /// The sequence of a reset is none.
    #[error("reset in device \"{url}\": {error}")]
    Sequence {
        /// As given.
        url: String,
        /// What is wrong with it.
        error: SequenceError,
    },
    /// An option's value is wrong.
    #[error("option \"{option}\" in device \"{url}\" is \"{value}\": expected {expected}")]
    Value {
        /// As given.
        url: String,
        /// The option's name.
        option: String,
        /// Its value.
        value: String,
        /// What it should be.
        expected: String,
    },
}

pub(super) fn chip(url: &str, option: &str, value: &str) -> Result<Chip, DeviceUrlError> {
    value.parse().map_err(|error: UnknownChip| wrong(url, option, value, &error.to_string()))
}

pub(super) fn file(url: &str, option: &str, value: &str) -> Result<PathBuf, DeviceUrlError> {
    match value {
        "" => Err(wrong(url, option, value, "the path of a file")),
        path => Ok(PathBuf::from(path)),
    }
}

pub(super) fn switch(url: &str, option: &str, value: &str) -> Result<bool, DeviceUrlError> {
    value.parse().map_err(|_| wrong(url, option, value, "true or false"))
}

pub(super) fn number(url: &str, option: &str, value: &str) -> Result<u32, DeviceUrlError> {
    value
        .parse()
        .ok()
        .filter(|baud| (300..=6_000_000).contains(baud))
        .ok_or_else(|| wrong(url, option, value, "a baud rate from 300 to 6000000"))
}

pub(super) fn unknown(url: &str, option: &str, expected: &'static str) -> DeviceUrlError {
    DeviceUrlError::Option { url: url.to_owned(), option: option.to_owned(), expected }
}

pub(super) fn wrong(url: &str, option: &str, value: &str, expected: &str) -> DeviceUrlError {
    DeviceUrlError::Value {
        url: url.to_owned(),
        option: option.to_owned(),
        value: value.to_owned(),
        expected: expected.to_owned(),
    }
}
