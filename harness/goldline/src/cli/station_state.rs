//! `--state` of the commands that read what a station remembers.

use std::path::{Path, PathBuf};

use clap::Args;
use tokio::runtime::Runtime;

use super::problem::{of_store, usage};
use crate::{station::open_state, store::StateDirectory};

#[derive(Args)]
pub(super) struct StateArgument {
    /// What the station remembers, readable by its owner only
    #[arg(long, value_name = "DIR", env = "GOLDLINE_STATE")]
    state: Option<PathBuf>,
}

impl StateArgument {
    /// Opens the state directory.
    pub(super) fn open(&self) -> miette::Result<StateDirectory> {
        open_state(self.state.as_deref()).map_err(of_store)
    }

    /// The folder that was named, else the usual one.
    pub(super) fn folder(&self) -> miette::Result<PathBuf> {
        match &self.state {
            Some(path) => Ok(path.clone()),
            None => StateDirectory::default_path().map_err(of_store),
        }
    }

    /// The folder that was named.
    pub(super) fn path(&self) -> Option<&Path> {
        self.state.as_deref()
    }
}

/// What asynchronous calls run on.
pub(super) fn runtime() -> miette::Result<Runtime> {
    Runtime::new().map_err(usage)
}
