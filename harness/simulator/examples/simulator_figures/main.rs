//! How quick and how small simulated units are, each figure beside the limit it is held against.
//!
//! `cargo run --release -p goldline-simulator --example simulator_figures`
//!
//! Nothing here fails on a slow machine; a figure that cannot be taken says why. esptool and the
//! peer that it is compared on are looked for in the virtual environment that `GOLDLINE_VENV` names,
//! else in `.venv` at the root of the repository.

#![forbid(unsafe_code)]

mod client;
mod esptool;
mod process;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use goldline_simulator::world::Silence;
use goldline_simulator::{Config, Simulator, chip};

/// Why a figure could not be taken.
type Failure = Box<dyn std::error::Error + Send + Sync>;

const MEGABYTE: usize = 1 << 20;
/// Where every write begins: past the partition table, as an application does.
const OFFSET: u32 = 0x1_0000;
const CROWD: usize = 100;

fn main() {
    println!("{:<52} {:>12}  limit", "simulated unit", "figure");
    // First, while this process holds nothing else.
    report("one idle simulator, whole process: RSS, MB", "<= 15", idle_memory_mb());
    report("one idle simulator: CPU in 1 s, ms in ticks of 10", "0", idle_cpu_ms());
    let answered = median(51, || first_sync_reply().map(in_ms));
    report("Simulator::start to the first SYNC reply, ms", "<= 20", answered);
    let write = median(5, || espflash_write(&start()?, MEGABYTE, client::POWER_UP_BAUD));
    report("1 MB written by espflash's library, stub, s", "<= 0.35", write);
    for baud in [115_200, 460_800, 921_600] {
        let name = format!("paced at {baud} Bd, write over line time, %");
        report(&name, "-3 … 3", median(3, || over_line_time_percent(baud)));
    }
    let name = format!("{CROWD} simulators, each with a client: RSS each, MB");
    report(&name, "<= 20", crowd_memory_mb());
    esptool_rows();
}

fn report(name: &str, limit: &str, figure: Result<f64, Failure>) {
    match figure {
        Ok(figure) => println!("{name:<52} {figure:>12.2}  {limit}"),
        Err(reason) => println!("{name:<52} not measured: {}", with_causes(&*reason)),
    }
}

/// espflash says what happened in the causes only.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn esptool_rows() {
    let image = client::noise(MEGABYTE);
    let ours = median(3, || esptool::write_to_simulator(&image));
    let peers = median(3, || esptool::write_to_peer(&image));
    let limit = match &peers {
        Ok(peer_s) => format!("<= {peer_s:.2}, the peer in this run"),
        Err(_) => "no peer to compare with".to_owned(),
    };
    let ratio = ours.as_ref().ok().zip(peers.as_ref().ok()).map(|(ours, peers)| peers / ours);
    report("1 MB written by esptool write-flash, s", &limit, ours);
    report("1 MB written by esptool to esp32-mock-bootloader, s", "the reference", peers);
    if let Some(ratio) = ratio {
        report("times as fast as esp32-mock-bootloader", ">= 1", Ok(ratio));
    }
}

/// A unit of the kind that every figure is about.
fn start() -> Result<Simulator, Failure> {
    start_with(Config::new(chip::ESP32))
}

fn start_with(config: Config) -> Result<Simulator, Failure> {
    Ok(Simulator::start(config, Arc::new(Silence))?)
}

fn idle_memory_mb() -> Result<f64, Failure> {
    let _unit = start()?;
    thread::sleep(Duration::from_millis(200));
    Ok(process::resident_mb()?)
}

fn idle_cpu_ms() -> Result<f64, Failure> {
    let _unit = start()?;
    thread::sleep(Duration::from_millis(200));
    let before_ms = process::cpu_ms()?;
    thread::sleep(Duration::from_secs(1));
    Ok(process::cpu_ms()? - before_ms)
}

fn first_sync_reply() -> Result<Duration, Failure> {
    let started = Instant::now();
    let unit = start()?;
    client::sync(unit.port_path())?;
    Ok(started.elapsed())
}

/// Seconds that espflash's library takes to erase, write and verify, its stub loaded before.
fn espflash_write(unit: &Simulator, length: usize, baud: u32) -> Result<f64, Failure> {
    let image = client::noise(length);
    let mut flasher = client::connect(unit.port_path())?;
    if baud != client::POWER_UP_BAUD {
        flasher.change_baud(baud)?;
    }
    let started = Instant::now();
    client::write(&mut flasher, OFFSET, &image)?;
    Ok(started.elapsed().as_secs_f64())
}

/// For about a second's worth of noise, so that deflating gains nothing, in whole blocks, which
/// espflash would else fill up.
fn over_line_time_percent(baud: u32) -> Result<f64, Failure> {
    let length = usize::try_from(baud / 10)?.next_multiple_of(client::BLOCK);
    let unit = start_with(Config { paced: true, ..Config::new(chip::ESP32) })?;
    let took_s = espflash_write(&unit, length, baud)?;
    let bits = 10 * client::on_the_wire(&client::noise(length));
    Ok((took_s * f64::from(baud) / bits as f64 - 1.0) * 100.0)
}

/// What the process grows by while every unit has a client that has written to it; the clients, which
/// run here too, are counted in.
///
/// They connect one after the other, because espflash gives a fresh stub 50 ms to answer, but write
/// all at once.
fn crowd_memory_mb() -> Result<f64, Failure> {
    let before_mb = process::resident_mb()?;
    let units = (0..CROWD).map(|_| start()).collect::<Result<Vec<_>, _>>()?;
    let connected = units.iter().map(|unit| client::connect(unit.port_path()));
    let mut clients = connected.collect::<Result<Vec<_>, _>>()?;
    let image = client::noise(MEGABYTE / 4);
    thread::scope(|scope| {
        let write = |flasher| scope.spawn(|| client::write(flasher, OFFSET, &image));
        let writers: Vec<_> = clients.iter_mut().map(write).collect();
        writers.into_iter().try_for_each(|writer| writer.join().map_err(|_| "a client panicked")?)
    })?;
    Ok((process::resident_mb()? - before_mb) / CROWD as f64)
}

fn in_ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The middle of an odd number of runs, or the first failure.
fn median(runs: usize, mut run: impl FnMut() -> Result<f64, Failure>) -> Result<f64, Failure> {
    let mut figures = (0..runs).map(|_| run()).collect::<Result<Vec<_>, _>>()?;
    figures.sort_by(f64::total_cmp);
    Ok(figures[runs / 2])
}
