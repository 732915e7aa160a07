//! `goldline prove`: which bad units a product's test would let through.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::{
    exit, output,
    problem::{of_station, usage, usage_with_help},
};
use crate::{
    clock::Clock,
    prove::{Campaign, CampaignError, Proof, catalogue_of, prove, subject_of},
    station::{Request, Specimens},
};

/// What is to be proven.
#[derive(Args)]
pub(super) struct ProveArguments {
    /// Name of a shipped profile, a name under --profiles, or a path
    profile: String,
    /// What the units are: simulator:, or with a firmware of the product's own qemu: or esp-emu:
    #[arg(long, value_name = "URL")]
    device: Option<String>,
    /// End after so long: 60s, 10m, 1h
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "all")]
    budget: Option<Duration>,
    /// Run every mutant that can be counted
    #[arg(long)]
    all: bool,
    /// Which mutants are drawn, and in which order; the same number repeats it
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Print the report as JSON, and nothing else, on standard output
    #[arg(long)]
    pub(super) json: bool,
    /// A value of the unit: KEY=VALUE, KEY=@FILE or KEY=$VARIABLE
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Profiles of one's own
    #[arg(long, value_name = "DIR", env = "GOLDLINE_PROFILES")]
    profiles: Option<PathBuf>,
}

pub(super) fn run(arguments: &ProveArguments) -> miette::Result<u8> {
    let began = Instant::now();
    let runtime = Runtime::new().map_err(usage)?;
    let cancel = CancellationToken::new();
    let outcome = runtime.block_on(proof(arguments, began, &cancel));
    runtime.shutdown_background();
    let Some(proof) = outcome? else { return Ok(exit::ERROR) };
    if arguments.json {
        output::print_json(&proof)?;
    } else {
        output::print(&format!("{proof:#?}\n"))?;
    }
    Ok(code_of(&proof))
}

/// `None` when nothing can be said of the test, which was told.
async fn proof(
    arguments: &ProveArguments,
    began: Instant,
    cancel: &CancellationToken,
) -> miette::Result<Option<Proof>> {
    let request = Request {
        profile: Some(arguments.profile.clone()),
        profiles: arguments.profiles.clone(),
        devices: arguments.device.iter().cloned().collect(),
        settings: arguments.settings.clone(),
        ..Request::default()
    };
    let specimens = Specimens::of(&request, Clock::system()).await.map_err(of_station)?;
    let mut catalogue = catalogue_of(specimens.profile());
    if specimens.run_machine_code() {
        catalogue = catalogue.of_flash_alone();
    }
    let campaign = Campaign {
        began,
        budget: arguments.budget,
        all: arguments.all,
        seed: arguments.seed,
        subject: subject_of(specimens.profile()),
    };
    let specimens = Arc::new(specimens);
    match prove(specimens, &catalogue, &[], &campaign, |_| {}, cancel).await {
        Ok(proof) => Ok(Some(proof)),
        Err(CampaignError::Trial(error)) => Err(usage(error)),
        Err(error @ CampaignError::NoGoodUnit(_)) => {
            let help = "make the profile pass first: goldline run PROFILE";
            output::complain(&format!("{:?}", usage_with_help(error, help)));
            Ok(None)
        }
    }
}

/// What escapes is worse than what cannot be said.
fn code_of(proof: &Proof) -> u8 {
    if proof.escapes() > 0 || proof.blames() > 0 {
        exit::FAIL
    } else if proof.fell_short() {
        exit::ERROR
    } else {
        exit::PASS
    }
}

/// A whole number with `s`, `m` or `h` behind it.
fn duration(text: &str) -> Result<Duration, String> {
    let refused = || format!("\"{text}\": expected a time such as 60s, 10m or 1h");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(refused)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(refused()),
    };
    let number: u64 = number.parse().map_err(|_| refused())?;
    number.checked_mul(seconds).filter(|it| *it > 0).map(Duration::from_secs).ok_or_else(refused)
}
