//! `--force`: one flag, with the same words in each command that writes files.

use clap::Args;

use crate::output_file::Existing;

#[derive(Args)]
pub(in crate::cli) struct OverwriteArgument {
    /// Overwrite output files that exist
    #[arg(long)]
    force: bool,
}

impl OverwriteArgument {
    /// What becomes of files that exist.
    pub(in crate::cli) fn existing(&self) -> Existing {
        if self.force { Existing::Replace } else { Existing::Refuse }
    }
}
