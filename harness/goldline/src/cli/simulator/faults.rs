//! `goldline simulator faults`: every fault there is, of the unit and of the testbed.

use goldline_simulator::Fault;
use serde::Serialize;

use crate::{cli::output, testbed::fault::TestbedFault};

#[derive(Serialize)]
struct Entry {
    name: &'static str,
    layer: &'static str,
    what: &'static str,
}

pub(super) fn list(json: bool) -> miette::Result<()> {
    let faults = all();
    if json {
        return output::print_json(&faults);
    }
    let line = |fault: &Entry| format!("{:24} {}\n", fault.name, fault.what);
    output::print(&faults.iter().map(line).collect::<String>())
}

fn all() -> Vec<Entry> {
    let unit = Fault::ALL.iter().map(|fault| Entry {
        name: fault.name(),
        layer: fault.layer(),
        what: fault.what(),
    });
    let testbed = TestbedFault::ALL.iter().map(|fault| Entry {
        name: fault.name(),
        layer: fault.layer(),
        what: fault.what(),
    });
    unit.chain(testbed).collect()
}
