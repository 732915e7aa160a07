//! Why a step could not be done, and whose fault that is.

use tokio::task::JoinError;

use crate::{
    bench::BenchError,
    device::DeviceError,
    plan::{BindingError, LearnError, MaterialError, NotLearnt},
    profile::UnboundSymbol,
    record::{Code, Diagnosis},
    testbed::TestbedError,
};

/// A step could not be done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Someone stopped the run.
    #[error("the run was stopped")]
    Aborted,
    /// The unit or its port.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A service of the testbed.
    #[error(transparent)]
    Testbed(#[from] TestbedError),
    /// The bench cannot be lent.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// The chip is not the product's; the check says what it is instead.
    #[error("the chip or its flash is not the profile's; nothing was written")]
    WrongChip,
    /// The unit's values are not known.
    #[error("the unit's values are not known: {}", .0.message)]
    Values(Diagnosis),
    /// Another unit has the identity that is planned for this one.
    #[error("{0}: a unit has an identity of its own, and this one was not touched further")]
    IdentityTaken(String),
    /// A value of the unit does not fit.
    #[error(transparent)]
    Binding(#[from] BindingError),
    /// The plan does not fit the unit's values.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// Something that the run has not learnt is needed.
    #[error(transparent)]
    NotLearnt(#[from] NotLearnt),
    /// What was learnt does not fit the unit.
    #[error("what the unit was given does not fit it: {0}")]
    Learn(#[from] LearnError),
    /// A template cannot be filled.
    #[error(transparent)]
    Unbound(#[from] UnboundSymbol),
    /// The boot log says that the unit will not do what is waited for; the log's facts say why.
    #[error("the unit's boot log ends the wait")]
    BootLog,
    /// The unit did not do what a provisioning step needs; the observations say what it did instead.
    #[error("{}", .0.message)]
    Unit(Diagnosis),
    /// A service that the bench calls did not do what a provisioning step needs.
    #[error("{}", .0.message)]
    Service(Diagnosis),
    /// The port went away while the unit ran.
    #[error("the unit's port went away while its application ran")]
    PortVanished,
    /// A blocking call panicked.
    #[error("a call to the device broke down: {0}")]
    Panicked(#[from] JoinError),
    /// The broker does not take the messages of the bench.
    #[error("the bench cannot publish: {0}")]
    Publish(String),
    /// The testbed has no such service, although the plan has a step that needs it.
    #[error("the bench offers the unit no {0}")]
    NotOffered(&'static str),
    /// A call to the device is under way, or it broke down.
    #[error("the device is not at hand: a call to it has not come back")]
    DeviceBusy,
    /// A step that needs an earlier one.
    #[error("the plan asks to {step} too early; a step that comes before it is missing")]
    OutOfOrder {
        /// What was asked.
        step: &'static str,
    },
}

impl Failure {
    /// What is said of it in the record.
    pub(super) fn diagnosis(&self) -> Diagnosis {
        let code = match self {
            Self::Unit(diagnosis) | Self::Service(diagnosis) => return diagnosis.clone(),
            Self::Aborted => Code::Aborted,
            Self::Device(error) => error.code(),
            Self::WrongChip => Code::ChipMismatch,
            Self::Testbed(_) | Self::Bench(BenchError::Testbed(_)) => Code::TestbedNotStarted,
            Self::Bench(
                BenchError::Host(_) | BenchError::Url { .. } | BenchError::PasswordInArguments,
            ) => Code::StationState,
            Self::Bench(BenchError::SecondUnit(_)) => Code::TestbedIdentityInUse,
            Self::Bench(BenchError::OtherNetwork(_)) => Code::TestbedAccessPoint,
            Self::PortVanished => Code::PortVanished,
            Self::IdentityTaken(_) => Code::IdentityTaken,
            Self::Values(diagnosis) => diagnosis.code,
            Self::Binding(_) => Code::StationState,
            Self::Publish(_) => Code::TestbedBroker,
            Self::Learn(_) => Code::StationState,
            Self::Material(_)
            | Self::NotLearnt(_)
            | Self::Bench(BenchError::NotLearnt(_) | BenchError::Unbound(_))
            | Self::Unbound(_)
            | Self::Panicked(_)
            | Self::NotOffered(_)
            | Self::DeviceBusy
            // What the log says is put into its place before anything is said of it.
            | Self::BootLog
            | Self::OutOfOrder { .. } => Code::Internal,
        };
        let diagnosis = Diagnosis::new(code, self.to_string());
        match self {
            Self::Device(error) => match error.action() {
                Some(action) => Diagnosis { action: action.to_owned(), ..diagnosis },
                None => diagnosis,
            },
            Self::Testbed(error) | Self::Bench(BenchError::Testbed(error)) => {
                match error.action() {
                    Some(action) => Diagnosis { action: action.to_owned(), ..diagnosis },
                    None => diagnosis,
                }
            }
            Self::Values(reason) => Diagnosis { action: reason.action.clone(), ..diagnosis },
            _ => diagnosis,
        }
    }

    /// Whether the unit is at fault; everything else is the station's.
    pub(super) fn blames_unit(&self) -> bool {
        match self {
            Self::Device(error) => error.blames_unit(),
            Self::WrongChip | Self::BootLog | Self::Unit(_) => true,
            _ => false,
        }
    }
}
