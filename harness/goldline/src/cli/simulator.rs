//! `goldline simulator …`.

use clap::Subcommand;
use serde::Serialize;

use super::{exit, output};
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
        output::print_json(&faults)?;
    } else {
        let line = |fault: &FaultEntry| format!("{:24} {}\n", fault.name, fault.what);
        output::print(&faults.iter().map(line).collect::<String>())?;
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
