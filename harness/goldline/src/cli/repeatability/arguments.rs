//! What may be typed after `goldline repeatability`, besides what a run takes.

use clap::{Args, ValueEnum};

use crate::gauge::Appraisers;

/// Arguments of a study.
#[derive(Args)]
pub(in crate::cli) struct StudyArguments {
    /// Run each unit so often
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..), required_unless_present_any = ["from_records", "schema"],
          conflicts_with_all = ["repeat", "replaces", "save_credentials", "junit", "retry_errors"])]
    pub(super) times: Option<u32>,
    /// Study the runs that this station kept, and touch no unit: of the profile as it is now, of --lot and --device where
    /// they are given
    #[arg(long, conflicts_with_all = ["times", "check_only"])]
    pub(super) from_records: bool,
    /// With --from-records: runs since a day or a moment of the station's zone
    #[arg(long, value_name = "TIME", conflicts_with = "times")]
    pub(super) since: Option<String>,
    /// With --from-records: runs before a day or a moment of the station's zone
    #[arg(long, value_name = "TIME", conflicts_with = "times")]
    pub(super) until: Option<String>,
    /// Run the QC list only, as goldline check does: the units were provisioned before
    #[arg(long)]
    pub(super) check_only: bool,
    /// What takes the appraiser's part
    #[arg(long, value_enum, default_value_t = Appraiser::Nest)]
    pub(super) appraiser: Appraiser,
    /// Exit with 1 where the GRR of a measurement takes more of its tolerance than this; 30 is the field's limit
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub(super) max_grr: Option<f64>,
    /// Print the JSON Schema of what --json prints
    #[arg(long)]
    pub(super) schema: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Appraiser {
    /// The nests, or the ports where no nest is named
    Nest,
    /// Those whom --operator names
    Operator,
}

impl From<Appraiser> for Appraisers {
    fn from(appraiser: Appraiser) -> Self {
        match appraiser {
            Appraiser::Nest => Self::Nests,
            Appraiser::Operator => Self::Operators,
        }
    }
}

pub(super) fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches('%').parse().ok();
    let found = number.filter(|percent: &f64| percent.is_finite() && *percent > 0.0);
    found.ok_or_else(|| "expected a percentage above 0, such as 30".to_owned())
}
