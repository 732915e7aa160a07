//! Services that are already there, from arguments: parsed, their files read, their secrets nowhere but
//! in memory.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    arguments::RunArguments,
    problem::{usage, usage_with_help},
};
use crate::{
    bench::External,
    client::http::{HttpClient, HttpUrl, Route},
    profile::{Endpoint, Profile, SecretSource, Template, ValueSource},
    secret::Secret,
    testbed::{broker::ExternalBroker, fault::TestbedFault},
};

/// A web service by its address and the CA that it must come of.
pub(super) fn external(
    url: Option<&str>,
    trust: Option<&Path>,
) -> miette::Result<Option<External>> {
    let Some(url) = url else { return Ok(None) };
    let _parsed: HttpUrl = url.parse().map_err(usage)?;
    Ok(Some(External { url: url.to_owned(), trust: trust.map(roots).transpose()? }))
}

/// The broker of `--broker`, for a profile whose units answer a command.
pub(super) fn broker(
    arguments: &RunArguments,
    profile: &Profile,
) -> miette::Result<Option<ExternalBroker>> {
    let (Some(url), Some(trust)) = (&arguments.broker, &arguments.broker_trust) else {
        return Ok(None);
    };
    let endpoint: Endpoint = url.parse().map_err(usage)?;
    refuse_answers_of_others(profile)?;
    let login = arguments.broker_login.as_deref().map(login).transpose()?;
    let identity = arguments.broker_identity.as_deref().map(read).transpose()?.map(Secret::new);
    Ok(Some(ExternalBroker { endpoint, trust: roots(trust)?, login, identity }))
}

/// A client cannot tell whose connection a message came over: its topic or its text must name the unit.
fn refuse_answers_of_others(profile: &Profile) -> miette::Result<()> {
    let Some(command) = &profile.mqtt.command else {
        return Err(usage_with_help(
            format!(
                "--broker: units of the profile {} answer no command, and a client of a broker sees no more of them",
                profile.name
            ),
            "leave it out, or describe a command in the profile: [mqtt] command",
        ));
    };
    let of_unit = |topic: &Template, contained: &[Template]| {
        std::iter::once(topic).chain(contained).any(|text| names_the_unit(text, profile))
    };
    let alert = profile.alert.as_ref().map(|alert| (&alert.topic, &alert.contains));
    let report = profile.ota.as_ref().map(|ota| (&ota.report_topic, &ota.report_contains));
    let answer = Some((&command.reply_topic, &command.reply_contains));
    for (what, said) in [("an answer", answer), ("an alert", alert), ("a report", report)] {
        if said.is_some_and(|(topic, contained)| !of_unit(topic, contained)) {
            return Err(usage_with_help(
                format!("--broker: {what} of the profile {} could be another unit's", profile.name),
                "let its topic or its texts name a value of this unit alone",
            ));
        }
    }
    Ok(())
}

/// Whether a text holds a value that another unit of the site has not.
fn names_the_unit(text: &Template, profile: &Profile) -> bool {
    text.symbols().any(|symbol| {
        if symbol.starts_with("unit.") || symbol.starts_with("observed.") {
            return true;
        }
        let spec = profile.values.iter().find(|spec| spec.name == symbol);
        spec.is_some_and(|spec| match &spec.source {
            ValueSource::Site => false,
            ValueSource::Lease | ValueSource::Random { .. } | ValueSource::MacScheme(_) => true,
            ValueSource::Template(template) => names_the_unit(template, profile),
            ValueSource::Salted { of, .. } => names_the_unit(of, profile),
        })
    })
}

/// The argument is not repeated, in case it is the login itself.
fn login(argument: &str) -> miette::Result<(String, Secret)> {
    let source = match (argument.strip_prefix('@'), argument.strip_prefix('$')) {
        (Some(path), _) => SecretSource::File(PathBuf::from(path)),
        (_, Some(variable)) => SecretSource::Environment(variable.to_owned()),
        _ => {
            return Err(usage_with_help(
                "a password never goes through arguments, which every user of the machine can read",
                "put USER:PASSWORD into a variable or a file: --broker-login '$VARIABLE' or @FILE",
            ));
        }
    };
    let text = source.read().map_err(usage)?;
    let Some((user, password)) = text.expose().split_once(':') else {
        return Err(usage_with_help(
            "--broker-login: the text holds no colon; expected USER:PASSWORD",
            "write the user name, a colon and the password, on one line",
        ));
    };
    Ok((user.to_owned(), Secret::new(password)))
}

/// PEM of CA certificates, and nothing else.
pub(super) fn roots(path: &Path) -> miette::Result<String> {
    let pem = read(path)?;
    // No call is made: a client is what takes them apart.
    HttpClient::new(Route::Resolved, Some(&pem))
        .map_err(|error| usage(format!("{}: {error}", path.display())))?;
    Ok(pem)
}

fn read(path: &Path) -> miette::Result<String> {
    fs::read_to_string(path)
        .map_err(|error| usage(format!("cannot read {}: {error}", path.display())))
}

/// A fault of a service that the testbed does not run would change nothing, and seem harmless.
pub(super) fn refuse_faults_of_nothing(
    arguments: &RunArguments,
    profile: &Profile,
    faults: &[TestbedFault],
) -> miette::Result<()> {
    for fault in faults {
        let broker = arguments.broker.is_some().then_some("--broker");
        let (service, there, external) = match fault.layer() {
            "broker" => ("broker", true, broker),
            // The user would have been one of the testbed's own broker.
            "config" if *fault == TestbedFault::ConfigNoUser && broker.is_some() => {
                ("broker", true, broker)
            }
            "ca" => ("CA", profile.ca.is_some(), arguments.ca.is_some().then_some("--ca")),
            "config" => (
                "config server",
                profile.provisioning_api.is_some() || profile.config_server.is_some(),
                arguments.config_server.is_some().then_some("--config-server"),
            ),
            "time_server" => ("time server", profile.time.is_some(), None),
            "update_server" => ("update server", profile.ota.is_some(), None),
            _ => continue,
        };
        if !there {
            return Err(usage_with_help(
                format!("--fault {fault}: the profile {} has no {service}", profile.name),
                "choose a profile whose units use it: goldline profile explain NAME",
            ));
        }
        if let Some(option) = external {
            return Err(usage_with_help(
                format!("--fault {fault}: {option} names a {service} that is not the testbed's"),
                format!("leave out {option}, or --fault"),
            ));
        }
    }
    Ok(())
}
