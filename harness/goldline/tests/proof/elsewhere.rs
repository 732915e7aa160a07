//! Every fault of a unit, in this process and in another one behind a foreign port and stack: the same verdict, for
//! the same reason.

use super::{
    meaning::{self, Meaning},
    sweep::{each, faults, hasty, least, run, said},
};
use crate::end_to_end::{elsewhere::run_elsewhere, program::Station};

const PRODUCTS: [(&str, &str); 2] = [("espvault", "esp32"), ("safesignal", "esp32s3")];
const SEED: &str = "1";
/// Seconds that a run waits for what never comes.
const LONGEST: u64 = 10;

/// Why a fault cannot be compared; nothing where it can.
fn excluded(fault: &str) -> Option<&'static str> {
    match fault {
        "radio.weak" => Some("a wire has no signal strength"),
        "firmware.wifi_password" => Some("a wire asks for no password"),
        "chip.usb_vanishes" => Some("the port is another process's"),
        "wire.vanish" => Some("the port is another process's"),
        _ if fault.starts_with("wire.") => Some("the bytes on the two ports are not the same"),
        _ if fault.starts_with("flash.") && fault != "flash.wrong_size" => {
            Some("a place is drawn, and two stations have two applications")
        }
        _ if meaning::of(fault) == Meaning::Bench => Some("it is the bench's"),
        _ => None,
    }
}

/// Of all sweeps the one that a CI has the time for, in its full tier.
#[test]
fn a_unit_elsewhere_is_judged_as_one_in_this_process() {
    if std::env::var_os("GOLDLINE_TIER").is_none_or(|tier| tier != "full") {
        println!("left to the full tier");
        return;
    }
    let faults = faults();
    for (fault, why) in faults.iter().filter_map(|fault| Some((fault, excluded(fault)?))) {
        println!("not compared: {fault}: {why}");
    }
    let compared: Vec<_> = faults.iter().filter(|fault| excluded(fault).is_none()).collect();
    let jobs: Vec<_> = PRODUCTS
        .iter()
        .flat_map(|product| compared.iter().map(move |fault| (*product, fault.as_str())))
        .collect();
    let figures = each(&jobs, |((product, chip), fault), figures| {
        let more = ["--network", "cable", "--fault", fault, "--seed", SEED].map(str::to_owned);
        let Some(here) = run(product, LONGEST, &more) else {
            return figures.lock().expect("it counts only").count("refused");
        };
        let station = Station::new();
        let file = format!("{product}.toml");
        station.write(&file, hasty(product, LONGEST));
        let there = run_elsewhere(&station, &file, chip, Some((fault, SEED))).json();
        let mut figures = figures.lock().expect("it counts only");
        figures.count("compared");
        let (here, there) = (said(&here), said(&there));
        figures.count(&here.0);
        if here != there {
            figures.blame("differs", format!("{product} {fault}: here {here:?}, there {there:?}"));
        }
    });
    assert!(figures.of("compared") >= least(35), "{}", figures.of("compared"));
    figures.settle("units elsewhere");
}
