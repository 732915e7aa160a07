//! The port that Espressif's own tools would take: `ESPPORT` and `ESPBAUD` of idf.py, `ESPTOOL_PORT` and
//! `ESPTOOL_BAUD` of esptool.
//!
//! Read only where no device is named. idf.py names the port to esptool, so its own variables come first.

use std::{
    env::{VarError, var},
    fmt,
};

/// First those of idf.py, then those of esptool.
const PORTS: [&str; 2] = ["ESPPORT", "ESPTOOL_PORT"];
const RATES: [&str; 2] = ["ESPBAUD", "ESPTOOL_BAUD"];
/// The schemes of ports on the network.
const REMOTE: [&str; 2] = ["rfc2217://", "socket://"];

/// A port that the environment names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PortOfEnvironment {
    /// As `--device` takes it.
    pub(super) device: String,
    /// Which variables it is from.
    variables: Vec<&'static str>,
}

/// What the environment names is no port, or no rate of one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum EnvironmentError {
    #[error("{name} is \"{value}\": expected a baud rate from 300 to 6000000, or no {name}")]
    Baud { name: &'static str, value: String },
    #[error("{name} is not text: expected a port such as /dev/ttyUSB0, or no {name}")]
    NotText { name: &'static str },
}

impl fmt::Display for PortOfEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "device {} (of {})", self.device, self.variables.join(" and "))
    }
}

/// The port of this process's environment, if it names one.
///
/// # Errors
/// [`EnvironmentError`] when a variable that counts cannot be used.
pub(super) fn port_of_environment() -> Result<Option<PortOfEnvironment>, EnvironmentError> {
    port_of(|name| match var(name) {
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(EnvironmentError::NotText { name }),
    })
}

fn port_of(
    variable: impl Fn(&'static str) -> Result<Option<String>, EnvironmentError>,
) -> Result<Option<PortOfEnvironment>, EnvironmentError> {
    let first = |names: [&'static str; 2]| {
        for name in names {
            // One that is set to nothing is meant as none.
            if let Some(value) = variable(name)?.filter(|value| !value.is_empty()) {
                return Ok(Some((name, value)));
            }
        }
        Ok(None)
    };
    let Some((name, port)) = first(PORTS)? else { return Ok(None) };
    let is_remote = REMOTE.iter().any(|scheme| port.starts_with(scheme));
    let place = match is_remote {
        // What stands behind it is pyserial's (ign_set_control), and none of ours.
        true => port.split('?').next().unwrap_or_default().to_owned(),
        false => format!("serial:{port}"),
    };
    let mut taken = PortOfEnvironment { device: place, variables: vec![name] };
    if taken.device.starts_with("socket://") {
        // A raw port has a rate of its own.
        return Ok(Some(taken));
    }
    if let Some((name, value)) = first(RATES)? {
        let Some(baud) = rate(&value) else { return Err(EnvironmentError::Baud { name, value }) };
        taken.device = format!("{}?baud={baud}", taken.device);
        taken.variables.push(name);
    }
    Ok(Some(taken))
}

fn rate(value: &str) -> Option<u32> {
    value.parse().ok().filter(|baud| (300..=6_000_000).contains(baud))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn taken(
        variables: &[(&str, &str)],
    ) -> Result<Option<(String, Vec<&'static str>)>, EnvironmentError> {
        let variable = |name: &'static str| {
            Ok(variables.iter().find(|(known, _)| *known == name).map(|(_, it)| (*it).to_owned()))
        };
        Ok(port_of(variable)?.map(|taken| (taken.device, taken.variables)))
    }

    #[rstest]
    #[case::none(&[], None)]
    #[case::empty(&[("ESPPORT", "")], None)]
    #[case::a_rate_alone(&[("ESPBAUD", "fast")], None)]
    #[case::path(&[("ESPPORT", "/dev/ttyUSB0")], Some(("serial:/dev/ttyUSB0", &["ESPPORT"][..])))]
    #[case::rate(
        &[("ESPPORT", "/dev/ttyUSB0"), ("ESPBAUD", "921600")],
        Some(("serial:/dev/ttyUSB0?baud=921600", &["ESPPORT", "ESPBAUD"][..]))
    )]
    #[case::esptools_own(
        &[("ESPTOOL_PORT", "/dev/ttyUSB1"), ("ESPTOOL_BAUD", "115200")],
        Some(("serial:/dev/ttyUSB1?baud=115200", &["ESPTOOL_PORT", "ESPTOOL_BAUD"][..]))
    )]
    #[case::idfs_first(
        &[("ESPTOOL_PORT", "/dev/ttyUSB1"), ("ESPPORT", "/dev/ttyUSB0")],
        Some(("serial:/dev/ttyUSB0", &["ESPPORT"][..]))
    )]
    #[case::pyserials_options(
        &[("ESPPORT", "rfc2217://jig:4000?ign_set_control"), ("ESPBAUD", "921600")],
        Some(("rfc2217://jig:4000?baud=921600", &["ESPPORT", "ESPBAUD"][..]))
    )]
    #[case::raw(
        &[("ESPPORT", "socket://jig:4000"), ("ESPBAUD", "fast")],
        Some(("socket://jig:4000", &["ESPPORT"][..]))
    )]
    fn the_port_is_that_of_espressifs_tools(
        #[case] variables: &[(&str, &str)],
        #[case] expected: Option<(&str, &[&'static str])>,
    ) {
        let expected = expected.map(|(device, names)| (device.to_owned(), names.to_vec()));
        assert_eq!(taken(variables), Ok(expected));
    }

    #[rstest]
    fn a_rate_that_is_none_is_named(#[values("fast", "0", "115200.5", "9999999")] value: &str) {
        let error = taken(&[("ESPPORT", "/dev/ttyUSB0"), ("ESPBAUD", value)]).expect_err("refused");
        assert_eq!(error, EnvironmentError::Baud { name: "ESPBAUD", value: value.to_owned() });
    }
}
