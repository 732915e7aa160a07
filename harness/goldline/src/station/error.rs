//! Everything that a station refuses or fails at, for whoever tells people of it.

use super::{
    batch::BatchError, certificates::IssueError, goldens::GoldenError, jobs::JobsError,
    leases::ScrapError, order::OrderError, outputs::OutputsError, registry_url::RegistryUrlError,
    remembered::RememberedError, specimens::SpecimensError, study::KeptError,
};
use crate::store::{LeaseError, StoreError};

/// A station did not do what was asked. The message says what was found; [`Self::action`] what to do.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant is named after its error")]
pub enum StationError {
    #[error(transparent)]
    Order(#[from] OrderError),
    #[error(transparent)]
    Outputs(#[from] OutputsError),
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error(transparent)]
    Scrap(#[from] ScrapError),
    #[error(transparent)]
    Issue(#[from] IssueError),
    #[error(transparent)]
    Golden(#[from] GoldenError),
    #[error(transparent)]
    RegistryUrl(#[from] RegistryUrlError),
    #[error(transparent)]
    Specimens(#[from] SpecimensError),
    #[error(transparent)]
    Kept(#[from] KeptError),
}

impl StationError {
    /// Whether the state directory is at fault, and not what was asked.
    pub fn is_of_state(&self) -> bool {
        match self {
            Self::Batch(BatchError::Store(error) | BatchError::Jobs(JobsError::Store(error)))
            | Self::Batch(BatchError::Jobs(JobsError::Replaced(RememberedError::Store(error))))
            | Self::Batch(BatchError::Lease(LeaseError::Store(error)))
            | Self::Scrap(ScrapError::Store(error) | ScrapError::Lease(LeaseError::Store(error)))
            | Self::Kept(KeptError::Store(error))
            | Self::Issue(IssueError::Store(error))
            | Self::Specimens(SpecimensError::Store(error)) => !matches!(error, StoreError::NoHome),
            _ => false,
        }
    }

    /// What to do about it, where the message does not say so.
    pub fn action(&self) -> Option<String> {
        match self {
            Self::Order(error) => error.action(),
            Self::Outputs(error) => error.action(),
            Self::Batch(error) => error.action(),
            Self::Scrap(error) => error.action(),
            Self::RegistryUrl(error) => error.action(),
            Self::Golden(error) => error.action(),
            Self::Specimens(error) => error.action(),
            Self::Kept(error) => error.action(),
            Self::Issue(_) => None,
        }
    }
}
