//! `--state` of the commands that read what a station remembers.

use std::path::PathBuf;

use clap::Args;
use tokio::runtime::Runtime;

use super::problem::usage;
use crate::store::StateDirectory;

#[derive(Args)]
pub(super) struct StateArgument {
    /// What the station remembers, readable by its owner only
    #[arg(long, value_name = "DIR", env = "GOLDLINE_STATE")]
    state: Option<PathBuf>,
}

impl StateArgument {
    /// Opens the state directory.
    pub(super) fn open(&self) -> miette::Result<StateDirectory> {
        let path = match &self.state {
            Some(path) => path.clone(),
            None => StateDirectory::default_path().map_err(usage)?,
        };
        StateDirectory::open(&path).map_err(usage)
    }
}

/// What asynchronous calls run on.
pub(super) fn runtime() -> miette::Result<Runtime> {
    Runtime::new().map_err(usage)
}
