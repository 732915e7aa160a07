//! `goldline simulator faults`: every fault there is, of the unit and of the testbed.

use goldline_simulator::Fault;
use serde::Serialize;

use crate::testbed::fault::TestbedFault;

#[derive(Serialize)]
struct Entry {
    name: &'static str,
    layer: &'static str,
    what: &'static str,
}

pub(super) fn list(json: bool) {
    let faults = all();
    if json {
        println!("{}", serde_json::to_string_pretty(&faults).expect("faults become JSON"));
        return;
    }
    for fault in faults {
        println!("{:24} {}", fault.name, fault.what);
    }
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
