//! `goldline prove`: which bad units a product's test would let through.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{
    exit, output,
    overwrite::OverwriteArgument,
    problem::{of_station, usage, usage_with_help},
    session::Session,
    table::aligned,
};
use crate::{
    clock::Clock,
    output_file::{OutputFile, Readers},
    profile::MutantPattern,
    prove::{
        Campaign, CampaignError, Catalogue, CatalogueError, NoGoodUnit, Proof, ProofOutcome,
        catalogue_of, proof_page, proof_text, prove, subject_of,
    },
    station::{Request, Specimens},
};

/// What is to be proven.
#[derive(Args)]
pub(super) struct ProveArguments {
    /// Name of a shipped profile, a name under --profiles, or a path
    #[arg(required_unless_present = "schema")]
    profile: Option<String>,
    /// What the units are: simulator:, or with a firmware of the product's own qemu: or esp-emu:
    #[arg(long, value_name = "URL")]
    device: Option<String>,
    /// End after so long: 60s, 10m, 1h
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "all")]
    budget: Option<Duration>,
    /// Run every mutant that can be counted
    #[arg(long)]
    all: bool,
    /// Run this mutant alone; an id of --list, or the beginning of some with * behind
    #[arg(long, value_name = "ID")]
    only: Vec<MutantPattern>,
    /// Print the ids of the product's mutants, and run none
    #[arg(long, conflicts_with_all = ["budget", "all", "json", "seed"])]
    list: bool,
    /// Which mutants are drawn, and in which order; the same number repeats it
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Print the report as JSON, and nothing else, on standard output
    #[arg(long)]
    pub(super) json: bool,
    /// Write the report as a page for a browser, which stands alone and prints on A4
    #[arg(long, value_name = "FILE", conflicts_with = "list")]
    html: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteArgument,
    /// Print the JSON Schema of the report
    #[arg(long, exclusive = true)]
    schema: bool,
    /// A value of the unit: KEY=VALUE, KEY=@FILE or KEY=$VARIABLE
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Profiles of one's own
    #[arg(long, value_name = "DIR", env = "GOLDLINE_PROFILES")]
    profiles: Option<PathBuf>,
    /// What the station remembers: whose CA a firmware of the product's own carries; nothing is kept there
    #[arg(long, value_name = "DIR", env = "GOLDLINE_STATE")]
    state: Option<PathBuf>,
}

pub(super) fn run(arguments: &ProveArguments) -> miette::Result<u8> {
    let Some(profile) = &arguments.profile else {
        output::print_json(&schemars::schema_for!(Proof))?;
        return Ok(exit::PASS);
    };
    let began = Instant::now();
    // Looked at before any unit runs, and written whole or not at all.
    let existing = arguments.overwrite.existing();
    let page = arguments.html.as_ref();
    let page = page.map(|path| OutputFile::at(path, existing, Readers::AsBefore));
    let page = page.transpose().map_err(usage)?;
    let session = Session::start()?;
    let request = Request {
        profile: Some(profile.clone()),
        profiles: arguments.profiles.clone(),
        devices: arguments.device.iter().cloned().collect(),
        settings: arguments.settings.clone(),
        state: arguments.state.clone(),
        ..Request::default()
    };
    let specimens = session.wait(Specimens::of(&request, Clock::system())).map_err(of_station)?;
    let mut catalogue = match session.wait(catalogue_of(&specimens, session.cancel())) {
        Ok(catalogue) => catalogue,
        Err(CatalogueError::GoodUnit(_)) if session.is_stopped() => {
            session.end();
            return Ok(stopped());
        }
        Err(CatalogueError::GoodUnit(NoGoodUnit::Specimen(error))) => {
            return Err(of_station(error));
        }
        Err(error @ CatalogueError::Description(_)) => return Err(usage(error)),
        Err(error) => {
            session.end();
            return Ok(no_good_unit(error));
        }
    };
    if specimens.run_machine_code() {
        catalogue = catalogue.of_flash_alone();
    }
    if !arguments.only.is_empty() {
        let help = "see what there is: goldline prove PROFILE --list";
        let narrowed = catalogue.narrowed(arguments.only.clone(), &specimens.profile().name);
        catalogue = narrowed.map_err(|error| usage_with_help(error, help))?;
    }
    let code = if arguments.list {
        output::print(&list(&catalogue))?;
        exit::PASS
    } else {
        let outcome = session.wait(proof(arguments, began, specimens, &catalogue, &session));
        match outcome? {
            Ok(mut proof) => {
                proof.again = again(profile, arguments);
                report(arguments, &proof)?;
                exit::worst([code_of(proof.outcome()), written(page, &proof)])
            }
            Err(code) => code,
        }
    };
    session.end();
    Ok(code)
}

/// The exit code when nothing can be said of the test, which was told.
async fn proof(
    arguments: &ProveArguments,
    began: Instant,
    specimens: Specimens,
    catalogue: &Catalogue,
    session: &Session,
) -> miette::Result<Result<Proof, u8>> {
    let campaign = Campaign {
        began,
        budget: arguments.budget,
        all: arguments.all,
        seed: arguments.seed,
        subject: subject_of(specimens.profile()),
    };
    let accepted = specimens.profile().accepted.clone();
    let specimens = Arc::new(specimens);
    let bar = bar(arguments);
    let watch = |ran| bar.set_position(ran as u64);
    let proof = prove(specimens, catalogue, &accepted, &campaign, watch, session.cancel()).await;
    bar.finish_and_clear();
    match proof {
        Ok(proof) => Ok(Ok(proof)),
        Err(CampaignError::NoGoodUnit(_)) if session.is_stopped() => Ok(Err(stopped())),
        Err(error) => Ok(Err(no_good_unit(error))),
    }
}

/// Says that nothing was done yet.
fn stopped() -> u8 {
    output::complain("it was stopped before any bad unit ran: there is nothing to report");
    exit::ABORTED
}

/// Says that nothing can be said.
fn no_good_unit(error: impl std::error::Error + Send + Sync + 'static) -> u8 {
    let help = "make the profile pass first: goldline run PROFILE";
    output::complain(&format!("{:?}", usage_with_help(error, help)));
    exit::ERROR
}

/// A line for people on standard error: not with `--json`, and only where it can be drawn.
fn bar(arguments: &ProveArguments) -> ProgressBar {
    if arguments.json || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    let of = arguments.budget.map(|budget| format!(" of {} s", budget.as_secs()));
    let template = format!("{{spinner}} {{pos}} units in {{elapsed}}{}", of.unwrap_or_default());
    bar.set_style(ProgressStyle::with_template(&template).expect("the template is right"));
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

fn report(arguments: &ProveArguments, proof: &Proof) -> miette::Result<()> {
    if arguments.json { output::print_json(proof) } else { output::print(&proof_text(proof)) }
}

/// Writes the page, where one is asked for. When it cannot be, that is told: what was found is printed by then.
fn written(page: Option<OutputFile>, proof: &Proof) -> u8 {
    let Some(page) = page else { return exit::PASS };
    match page.write(proof_page(proof).as_bytes()) {
        Ok(()) => exit::PASS,
        Err(error) => {
            output::complain(&format!("{:?}", usage(error)));
            exit::ERROR
        }
    }
}

/// Ids and what they are; of a family, what `--only` takes for all of it.
fn list(catalogue: &Catalogue) -> String {
    let row = |id: String, what: String| vec![id, what];
    let rows = catalogue.populations().flat_map(|(_, population)| {
        let counted = population.counted.iter().map(|it| row(it.id.clone(), it.what.clone()));
        let families = population.families.iter();
        counted.chain(families.map(|it| row(format!("{}*", it.stem()), it.member(0).what)))
    });
    aligned(&rows.collect::<Vec<_>>())
}

/// The command again, without what is one run's. Values stay out of it, for a secret may be among them.
fn again(profile: &str, arguments: &ProveArguments) -> String {
    let option = |name: &str, value: Option<String>| {
        value.map(|value| format!(" --{name} {}", quoted(&value))).unwrap_or_default()
    };
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let profiles = option("profiles", path(&arguments.profiles));
    let device = option("device", arguments.device.clone());
    let state = option("state", path(&arguments.state));
    let names = arguments.settings.iter().filter_map(|setting| setting.split_once('='));
    let settings: String = names.map(|(name, _)| format!(" --set {name}=…")).collect();
    format!("goldline prove {}{profiles}{device}{state}{settings}", quoted(profile))
}

/// A word as a shell takes it for one.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,".contains(&byte);
    match !word.is_empty() && word.bytes().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

fn code_of(outcome: ProofOutcome) -> u8 {
    match outcome {
        ProofOutcome::NothingEscapes => exit::PASS,
        ProofOutcome::Escapes => exit::FAIL,
        ProofOutcome::FellShort => exit::ERROR,
        ProofOutcome::Stopped => exit::ABORTED,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_where_a_shell_would_take_it_apart() {
        for plain in ["espvault", "own/p-1.toml", "qemu:"] {
            assert_eq!(quoted(plain), plain);
        }
        assert_eq!(quoted("simulator:?burnt=JTAG_DISABLE"), "'simulator:?burnt=JTAG_DISABLE'");
        assert_eq!(quoted("it's mine"), r"'it'\''s mine'");
        assert_eq!(quoted(""), "''");
    }
}
