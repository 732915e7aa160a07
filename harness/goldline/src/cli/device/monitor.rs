//! `goldline device monitor`: what a unit says, line by line, until Ctrl-C, a text, or a time.
//!
//! It is the user's own console: nothing is hidden in it.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::Args;
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::{sleep, sleep_until},
};

use super::unit::{DeviceArgument, Failure, Outcome};
use crate::{
    check::LogFacts,
    cli::{exit, output, problem::usage},
    device::{Console, DeviceError, Listener},
    image::Symbols,
};

/// A prompt has no line's end: what came is looked at as often.
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[derive(Args)]
pub(in crate::cli) struct MonitorArguments {
    /// End after so many seconds
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// End when this text comes; exit code 1 when it does not
    #[arg(long, value_name = "TEXT")]
    until: Option<String>,
    /// The ELF of the application: backtraces are followed by functions, files and lines
    #[arg(long, value_name = "FILE")]
    elf: Option<PathBuf>,
    /// Listen to the unit as it runs, without a reset first
    #[arg(long)]
    no_reset: bool,
    #[command(flatten)]
    device: DeviceArgument,
}

/// Why it ended.
enum End {
    Seen,
    Stopped,
    TimeIsUp,
    Vanished,
}

pub(super) fn monitor(arguments: &MonitorArguments) -> Outcome {
    let mut decoder = arguments.elf.as_ref().map(decoder).transpose()?;
    let runtime = Builder::new_current_thread().enable_all().build().map_err(usage)?;
    let (mut interrupt, mut terminate) = {
        let _within = runtime.enter();
        let listen = |kind| signal(kind).map_err(usage);
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?)
    };
    let mut unit = arguments.device.open()?;
    let line = unit.device.line();
    let (sender, mut heard) = unbounded_channel();
    line.console().tell(Box::new(Ear { sender, since: Instant::now() }));
    match arguments.no_reset {
        true => line.console().listen(),
        false => unit.device.boot()?,
    }
    let end = runtime.block_on(async {
        tokio::select! {
            end = follow(&mut heard, line.console(), arguments, &mut decoder) => end,
            _ = interrupt.recv() => Ok(End::Stopped),
            _ = terminate.recv() => Ok(End::Stopped),
        }
    })?;
    if !matches!(end, End::Seen) {
        while let Ok(line) = heard.try_recv() {
            show(&line, &mut decoder)?;
        }
    }
    match (end, &arguments.until) {
        (End::Vanished, _) => Err(Failure::Device(unit.device.ending().unwrap_or_else(|| {
            let port = arguments.device.name();
            DeviceError::Vanished { port, action: "listen to its console" }
        }))),
        (End::TimeIsUp, Some(text)) => {
            output::complain(&format!("\"{text}\" did not come"));
            Ok(exit::FAIL)
        }
        (End::Seen | End::Stopped | End::TimeIsUp, _) => Ok(exit::PASS),
    }
}

/// Prints what comes, until one of the ends that were asked for.
async fn follow(
    heard: &mut UnboundedReceiver<Heard>,
    console: &Console,
    arguments: &MonitorArguments,
    decoder: &mut Option<Decoder>,
) -> Result<End, Failure> {
    let limit = arguments.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let wanted = |text: &str| arguments.until.as_deref().is_some_and(|until| text.contains(until));
    loop {
        tokio::select! {
            biased;
            line = heard.recv() => {
                let Some(line) = line else { return Ok(End::Vanished) };
                show(&line, decoder)?;
                if wanted(&line.text) {
                    return Ok(End::Seen);
                }
            }
            () = until(limit) => return Ok(End::TimeIsUp),
            () = sleep(LOOK_EVERY) => {
                let prompt = console.partial();
                if wanted(&prompt) {
                    output::print(&format!("{prompt}\n"))?;
                    return Ok(End::Seen);
                }
                if console.is_closed() && heard.is_empty() {
                    return Ok(End::Vanished);
                }
            }
        }
    }
}

async fn until(limit: Option<Instant>) {
    match limit {
        Some(limit) => sleep_until(limit.into()).await,
        None => std::future::pending().await,
    }
}

/// A line as it arrived.
struct Heard {
    at: Duration,
    text: String,
}

/// Hands every line on; the log of the device keeps none for it.
struct Ear {
    sender: UnboundedSender<Heard>,
    since: Instant,
}

impl Listener for Ear {
    fn begin(&mut self) {
        self.since = Instant::now();
    }

    fn hear(&mut self, text: &str) -> bool {
        // Nobody listens any more when the command ends.
        let _heard = self.sender.send(Heard { at: self.since.elapsed(), text: text.to_owned() });
        false
    }
}

fn show(line: &Heard, decoder: &mut Option<Decoder>) -> miette::Result<()> {
    let mut text = format!("{:9.3}  {}\n", line.at.as_secs_f64(), line.text);
    if let Some(decoder) = decoder {
        text += &decoder.read(&line.text);
    }
    output::print(&text)
}

/// Follows the log for crashes, and says what lies at their addresses.
struct Decoder {
    symbols: Symbols,
    facts: LogFacts,
    /// How many addresses of the present crash were said.
    told: usize,
}

fn decoder(path: &PathBuf) -> Result<Decoder, Failure> {
    let unreadable = |error| usage(format!("cannot read {}: {error}", path.display()));
    let bytes = fs::read(path).map_err(unreadable)?;
    if !bytes.starts_with(&crate::build::ELF_MAGIC) {
        return Err(Failure::Usage(usage(format!(
            "{} is no ELF: name the application's",
            path.display()
        ))));
    }
    let symbols = Symbols::named(path, bytes, None);
    Ok(Decoder { symbols, facts: LogFacts::default(), told: 0 })
}

impl Decoder {
    /// What is to be said behind a line: the calls that it added to the backtrace.
    fn read(&mut self, text: &str) -> String {
        let resets = self.facts.resets.len();
        self.facts.take(text);
        if self.facts.resets.len() > resets {
            // The next crash is another one's.
            (self.facts, self.told) = (LogFacts::default(), 0);
        }
        let Some(crash) = &self.facts.crash else { return String::new() };
        let new = &crash.frames[self.told.min(crash.frames.len())..];
        let (frames, note) = self.symbols.frames(new, crash.elf_digest.as_deref());
        self.told = crash.frames.len();
        // That it was not compared with the unit's own is known by whoever named the file.
        let note = note.filter(|_| frames.iter().all(|frame| frame.function.is_none()));
        let calls = frames.iter().filter(|frame| frame.function.is_some());
        let lines = calls.map(|frame| format!("{} {}", frame.address, frame.words()));
        lines.chain(note).map(|line| format!("           -> {line}\n")).collect()
    }
}
