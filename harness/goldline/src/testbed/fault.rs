//! The faults that the testbed itself can be given, by their dotted names.
//!
//! Must not know the unit's faults, nor how a verdict is reached.

use std::{fmt, str::FromStr};

/// One fault of the testbed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TestbedFault {
    /// No access point is on the air.
    AccessPointAbsent,
    /// The access point has another passphrase than planned.
    AccessPointPassword,
    /// The broker shows a certificate of a CA that nobody trusts.
    BrokerUnknownCa,
    /// Nothing listens at the broker's address.
    BrokerDown,
    /// Nothing listens at the CA's address: connections are refused.
    CaDown,
    /// The CA takes the registration and never answers.
    CaTimeout,
    /// The CA answers every registration with status 500.
    CaHttp500,
    /// The CA answers every registration with status 401.
    CaHttp401,
    /// The CA says success: false to every registration.
    CaRefuses,
    /// The CA answers with something that is no JSON.
    CaMalformed,
    /// The CA certifies another key than that of the signing request.
    CaOtherKey,
    /// The CA makes the certificate out to another device.
    CaOtherDevice,
    /// The CA's certificate was issued by a CA that nobody trusts.
    CaOtherCa,
    /// The CA issues a certificate that has expired.
    CaExpired,
    /// The CA issues a certificate that is valid for one more day.
    CaExpiresSoon,
    /// Nothing listens at the config server's address: connections are refused.
    ConfigDown,
    /// The config server answers every call with status 500.
    ConfigHttp500,
    /// The config server answers every call with a page instead of JSON.
    ConfigMalformed,
    /// The config server hands out another password than its scheme makes.
    ConfigWrongPassword,
    /// The config server answers for another device.
    ConfigOtherDevice,
    /// The config server never creates the unit's MQTT user.
    ConfigNoUser,
    /// The time server hears every question and answers none.
    TimeServerSilent,
    /// The time server is a year slow.
    TimeServerWrong,
    /// Nothing listens at the update server's address: connections are refused.
    UpdateServerDown,
    /// The update server gives every image with one bit wrong.
    UpdateServerDamaged,
}

/// What is made wrong with a testbed on purpose. Whoever passes it on cannot look into it: only the services
/// that it is for do, so that nobody who judges knows more of them than a unit does.
#[derive(Clone, Default)]
pub struct Faults(Vec<TestbedFault>);

impl From<Vec<TestbedFault>> for Faults {
    fn from(faults: Vec<TestbedFault>) -> Self {
        Self(faults)
    }
}

impl Faults {
    pub(super) fn list(&self) -> &[TestbedFault] {
        &self.0
    }
}

/// A name is not a fault of the testbed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{name}\" is not a fault of the testbed: expected one of {}", names())]
pub struct UnknownFault {
    name: String,
}

fn names() -> String {
    TestbedFault::ALL.map(TestbedFault::name).join(", ")
}

impl TestbedFault {
    /// Every fault of the testbed.
    pub const ALL: [Self; 25] = [
        Self::AccessPointAbsent,
        Self::AccessPointPassword,
        Self::BrokerUnknownCa,
        Self::BrokerDown,
        Self::CaDown,
        Self::CaTimeout,
        Self::CaHttp500,
        Self::CaHttp401,
        Self::CaRefuses,
        Self::CaMalformed,
        Self::CaOtherKey,
        Self::CaOtherDevice,
        Self::CaOtherCa,
        Self::CaExpired,
        Self::CaExpiresSoon,
        Self::ConfigDown,
        Self::ConfigHttp500,
        Self::ConfigMalformed,
        Self::ConfigWrongPassword,
        Self::ConfigOtherDevice,
        Self::ConfigNoUser,
        Self::TimeServerSilent,
        Self::TimeServerWrong,
        Self::UpdateServerDown,
        Self::UpdateServerDamaged,
    ];

    /// The dotted name, such as `broker.down`.
    pub fn name(self) -> &'static str {
        match self {
            Self::AccessPointAbsent => "ap.absent",
            Self::AccessPointPassword => "ap.password",
            Self::BrokerUnknownCa => "broker.unknown_ca",
            Self::BrokerDown => "broker.down",
            Self::CaDown => "ca.down",
            Self::CaTimeout => "ca.timeout",
            Self::CaHttp500 => "ca.http_500",
            Self::CaHttp401 => "ca.http_401",
            Self::CaRefuses => "ca.refuses",
            Self::CaMalformed => "ca.malformed",
            Self::CaOtherKey => "ca.other_key",
            Self::CaOtherDevice => "ca.other_device",
            Self::CaOtherCa => "ca.other_ca",
            Self::CaExpired => "ca.expired",
            Self::CaExpiresSoon => "ca.expires_soon",
            Self::ConfigDown => "config.down",
            Self::ConfigHttp500 => "config.http_500",
            Self::ConfigMalformed => "config.malformed",
            Self::ConfigWrongPassword => "config.wrong_password",
            Self::ConfigOtherDevice => "config.other_device",
            Self::ConfigNoUser => "config.no_user",
            Self::TimeServerSilent => "time_server.silent",
            Self::TimeServerWrong => "time_server.wrong",
            Self::UpdateServerDown => "update_server.down",
            Self::UpdateServerDamaged => "update_server.damaged",
        }
    }

    /// The first word of the name.
    pub fn layer(self) -> &'static str {
        self.name().split('.').next().unwrap_or_default()
    }

    /// What it does, in one sentence.
    pub fn what(self) -> &'static str {
        match self {
            Self::AccessPointAbsent => "The access point is off the air: no station finds it.",
            Self::AccessPointPassword => {
                "The access point has another passphrase than the one that units are given."
            }
            Self::BrokerUnknownCa => {
                "The broker shows a certificate for the right name from a CA that nobody trusts."
            }
            Self::BrokerDown => "Nothing listens at the broker's address: connections are refused.",
            Self::CaDown => "Nothing listens at the CA's address: connections are refused.",
            Self::CaTimeout => "The CA takes the registration and never answers.",
            Self::CaHttp500 => "The CA answers every registration with status 500.",
            Self::CaHttp401 => "The CA answers every registration with status 401.",
            Self::CaRefuses => "The CA says success: false to every registration.",
            Self::CaMalformed => "The CA answers with something that is no JSON.",
            Self::CaOtherKey => "The CA certifies another key than that of the signing request.",
            Self::CaOtherDevice => "The CA makes the certificate out to another device.",
            Self::CaOtherCa => "The CA's certificate was issued by a CA that nobody trusts.",
            Self::CaExpired => "The CA issues a certificate that has expired.",
            Self::CaExpiresSoon => "The CA issues a certificate that is valid for one more day.",
            Self::ConfigDown => {
                "Nothing listens at the config server's address: connections are refused."
            }
            Self::ConfigHttp500 => "The config server answers every call with status 500.",
            Self::ConfigMalformed => {
                "The config server answers every call with a page instead of JSON."
            }
            Self::ConfigWrongPassword => {
                "The config server hands out another password than its scheme makes."
            }
            Self::ConfigOtherDevice => "The config server answers for another device.",
            Self::ConfigNoUser => "The config server never creates the unit's MQTT user.",
            Self::TimeServerSilent => "The time server hears every question and answers none.",
            Self::TimeServerWrong => "The time server is a year slow.",
            Self::UpdateServerDown => {
                "Nothing listens at the update server's address: connections are refused."
            }
            Self::UpdateServerDamaged => "The update server gives every image with one bit wrong.",
        }
    }
}

impl fmt::Display for TestbedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TestbedFault {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, UnknownFault> {
        Self::ALL
            .into_iter()
            .find(|fault| fault.name() == name)
            .ok_or_else(|| UnknownFault { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_reads_back_from_its_name_and_says_what_it_does() {
        for fault in TestbedFault::ALL {
            assert_eq!(fault.name().parse(), Ok(fault));
            assert!(fault.name().starts_with(&format!("{}.", fault.layer())));
            assert!(fault.what().ends_with('.'));
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_names_there_are() {
        let refusal = "broker.slow".parse::<TestbedFault>().expect_err("there is no such fault");
        for fault in TestbedFault::ALL {
            assert!(refusal.to_string().contains(fault.name()), "{refusal}");
        }
    }
}
