//! Everything that a station refuses or fails at, for whoever tells people of it.

use super::{
    batch::BatchError, certificates::IssueError, leases::ScrapError, order::OrderError,
    outputs::OutputsError, registry_url::RegistryUrlError,
};

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
    RegistryUrl(#[from] RegistryUrlError),
}

impl StationError {
    /// What to do about it, where the message does not say so.
    pub fn action(&self) -> Option<String> {
        match self {
            Self::Order(error) => error.action(),
            Self::Outputs(error) => error.action(),
            Self::Batch(error) => error.action(),
            Self::Scrap(error) => error.action(),
            Self::RegistryUrl(error) => error.action(),
            Self::Issue(_) => None,
        }
    }
}
