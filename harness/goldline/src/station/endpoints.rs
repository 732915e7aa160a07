//! Services that are already there: their addresses parsed, their files read, their secrets nowhere but
//! in memory.
//!
//! Calls none of them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::request::{BrokerRequest, ServiceRequest};
use crate::{
    bench::External,
    client::http::{HttpError, HttpUrl},
    clock::Clock,
    profile::{Endpoint, EndpointError, Profile, SecretError, SecretSource, Template},
    secret::Secret,
    testbed::broker::ExternalBroker,
    tls::{AnchorError, Anchors, ClientTls, ClientTlsError},
};

/// A service cannot be used. No message repeats a secret, nor a text that might be one.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum EndpointsError {
    #[error(transparent)]
    Url(#[from] HttpError),
    #[error(transparent)]
    Broker(#[from] EndpointError),
    #[error("cannot read {}: {error}", .path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{}: {error}", .path.display())]
    Trust { path: PathBuf, error: AnchorError },
    #[error("{}: {error}", .path.display())]
    Identity { path: PathBuf, error: ClientTlsError },
    #[error(
        "--broker: units of the profile {profile} answer no command, and a client of a broker sees no more of them"
    )]
    NoCommand { profile: String },
    #[error("--broker: {what} of the profile {profile} could be another unit's")]
    AnswerOfOthers { what: &'static str, profile: String },
    #[error("a password never goes through arguments, which every user of the machine can read")]
    LoginInArguments,
    #[error(transparent)]
    Login(#[from] SecretError),
    #[error("--broker-login: the text holds no colon; expected USER:PASSWORD")]
    LoginForm,
}

impl EndpointsError {
    /// What to do about it, where the message does not say so.
    pub fn action(&self) -> Option<String> {
        let action = match self {
            Self::NoCommand { .. } => {
                "leave it out, or describe a command in the profile: [mqtt] command"
            }
            Self::AnswerOfOthers { .. } => {
                "let its topic or its texts name a value of this unit alone"
            }
            Self::LoginInArguments => {
                "put USER:PASSWORD into a variable or a file: --broker-login '$VARIABLE' or @FILE"
            }
            Self::LoginForm => "write the user name, a colon and the password, on one line",
            Self::Trust { error, .. } => error.action(),
            Self::Identity { error, .. } => error.action(),
            Self::Unreadable { .. } => "name a file that is there and can be read",
            Self::Url(_) | Self::Broker(_) | Self::Login(_) => return None,
        };
        Some(action.to_owned())
    }
}

/// A web service by its address and the CA that it must come of.
pub(super) fn external(
    request: Option<&ServiceRequest>,
) -> Result<Option<External>, EndpointsError> {
    let Some(ServiceRequest { url, trust }) = request else { return Ok(None) };
    let _parsed: HttpUrl = url.parse()?;
    Ok(Some(External { url: url.clone(), trust: trust.as_deref().map(roots).transpose()? }))
}

/// The broker that is already there, for a profile whose units answer a command.
pub(super) fn broker(
    request: Option<&BrokerRequest>,
    profile: &Profile,
) -> Result<Option<ExternalBroker>, EndpointsError> {
    let Some(request) = request else { return Ok(None) };
    let endpoint: Endpoint = request.url.parse()?;
    refuse_answers_of_others(profile)?;
    let login = request.login.as_deref().map(login).transpose()?;
    let identity = request.identity.as_deref().map(identity).transpose()?;
    Ok(Some(ExternalBroker { endpoint, trust: roots(&request.trust)?, login, identity }))
}

/// A client cannot tell whose connection a message came over: its topic or its text must name the unit.
fn refuse_answers_of_others(profile: &Profile) -> Result<(), EndpointsError> {
    let Some(command) = profile.command() else {
        return Err(EndpointsError::NoCommand { profile: profile.name.clone() });
    };
    let of_unit = |topic: &Template, contained: &[Template]| {
        std::iter::once(topic).chain(contained).any(|text| profile.names_the_unit(text))
    };
    let alert = profile.alert.as_ref().map(|alert| (&alert.topic, &alert.contains));
    let report = profile.ota.as_ref().map(|ota| (&ota.report_topic, &ota.report_contains));
    let answer = Some((&command.reply_topic, &command.reply_contains));
    for (what, said) in [("an answer", answer), ("an alert", alert), ("a report", report)] {
        if said.is_some_and(|(topic, contained)| !of_unit(topic, contained)) {
            return Err(EndpointsError::AnswerOfOthers { what, profile: profile.name.clone() });
        }
    }
    Ok(())
}

/// The text is not repeated, in case it is the login itself.
fn login(place: &str) -> Result<(String, Secret), EndpointsError> {
    let source = match (place.strip_prefix('@'), place.strip_prefix('$')) {
        (Some(path), _) => SecretSource::File(PathBuf::from(path)),
        (_, Some(variable)) => SecretSource::environment(variable),
        _ => return Err(EndpointsError::LoginInArguments),
    };
    let text = source.read()?;
    let (user, password) = text.expose().split_once(':').ok_or(EndpointsError::LoginForm)?;
    Ok((user.to_owned(), Secret::new(password)))
}

/// PEM of certificates that can be trusted now: what comes of one whose time is over, units refuse.
pub(super) fn roots(path: &Path) -> Result<String, EndpointsError> {
    let pem = read(path)?;
    Anchors::from_pem(&pem)
        .and_then(|anchors| anchors.require_valid(Clock::system().now()))
        .map_err(|error| EndpointsError::Trust { path: path.to_owned(), error })?;
    Ok(pem)
}

/// PEM of the bench's own certificate and its key.
fn identity(path: &Path) -> Result<Secret, EndpointsError> {
    let pem = Secret::new(read(path)?);
    ClientTls::with_identity(Anchors::default(), pem.expose(), &pem)
        .map_err(|error| EndpointsError::Identity { path: path.to_owned(), error })?;
    Ok(pem)
}

fn read(path: &Path) -> Result<String, EndpointsError> {
    fs::read_to_string(path)
        .map_err(|error| EndpointsError::Unreadable { path: path.to_owned(), error })
}
