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
}

/// A name is not a fault of the testbed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "\"{name}\" is not a fault of the testbed: expected ap.absent, ap.password, broker.unknown_ca or broker.down"
)]
pub struct UnknownFault {
    name: String,
}

impl TestbedFault {
    /// Every fault of the testbed.
    pub const ALL: [Self; 4] = [
        Self::AccessPointAbsent,
        Self::AccessPointPassword,
        Self::BrokerUnknownCa,
        Self::BrokerDown,
    ];

    /// The dotted name, such as `broker.down`.
    pub fn name(self) -> &'static str {
        match self {
            Self::AccessPointAbsent => "ap.absent",
            Self::AccessPointPassword => "ap.password",
            Self::BrokerUnknownCa => "broker.unknown_ca",
            Self::BrokerDown => "broker.down",
        }
    }

    /// The first word of the name.
    pub fn layer(self) -> &'static str {
        match self {
            Self::AccessPointAbsent | Self::AccessPointPassword => "ap",
            Self::BrokerUnknownCa | Self::BrokerDown => "broker",
        }
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
