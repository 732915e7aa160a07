//! `goldline simulator …`.

use clap::Subcommand;
use serde::Serialize;

use super::exit;
use crate::testbed::fault::TestbedFault;
use goldline_simulator::Fault;

#[derive(Subcommand)]
pub(super) enum SimulatorCommand {
    /// List every fault that --fault takes, and what it does
    Faults {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Serialize)]
struct FaultEntry {
    name: &'static str,
    layer: &'static str,
    what: &'static str,
}

pub(super) fn run(command: SimulatorCommand) -> miette::Result<u8> {
    let SimulatorCommand::Faults { json } = command;
    let faults = faults();
    if json {
        println!("{}", serde_json::to_string_pretty(&faults).expect("faults become JSON"));
    } else {
        for fault in faults {
            println!("{:24} {}", fault.name, fault.what);
        }
    }
    Ok(exit::PASS)
}

fn faults() -> Vec<FaultEntry> {
    let unit = Fault::ALL.iter().map(|fault| FaultEntry {
        name: fault.name(),
        layer: fault.layer(),
        what: fault.what(),
    });
    let testbed = TestbedFault::ALL.iter().map(|fault| FaultEntry {
        name: fault.name(),
        layer: fault.layer(),
        what: fault.what(),
    });
    unit.chain(testbed).collect()
}
