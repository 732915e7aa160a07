//! Units whose eFuses are not what the product's are: of those that a good unit comes with, one is not burnt; or one is
//! that must not be.
//!
//! Which fuses there are stands here once more, apart from what a check knows of them.

use goldline_simulator::chip::efuse::{Burnt, has_fuse};

use super::{
    catalogue::Catalogue,
    mutant::{Change, Kind, Must, Mutant},
};
use crate::profile::{Jtag, Profile};

/// What takes a debugger away, by espefuse's names; no chip has all of them.
const OF_JTAG: [&str; 5] =
    ["JTAG_DISABLE", "DIS_PAD_JTAG", "HARD_DIS_JTAG", "DIS_USB_JTAG", "SOFT_DIS_JTAG"];

/// Adds the mutants of a product of which good units come with these fuses burnt.
pub(super) fn add(catalogue: &mut Catalogue, profile: &Profile, burnt: &[Burnt]) {
    let Some(demand) = &profile.security else { return };
    for (place, fuse) in burnt.iter().enumerate() {
        for bit in (0..u32::BITS).filter(|bit| fuse.bits & (1 << bit) != 0) {
            let mut others = burnt.to_vec();
            others[place].bits &= !(1 << bit);
            others.retain(|fuse| fuse.bits != 0);
            let what = format!("bit {bit} of the eFuse {} is not burnt", fuse.name);
            catalogue.count([mutant(&fuse.name, &format!("{bit}.missing"), what, others)]);
        }
    }
    if demand.jtag == Some(Jtag::Enabled) {
        for name in OF_JTAG.iter().filter(|name| has_fuse(profile.chip.name(), name)) {
            let more = Burnt { name: (*name).to_owned(), bits: 1 };
            let what = format!("the eFuse {name} is burnt");
            let fuses = burnt.iter().cloned().chain([more]).collect();
            catalogue.count([mutant(name, "burnt", what, fuses)]);
        }
    }
}

/// A purpose is told by its block.
fn naming(fuse: &str) -> Vec<String> {
    let block = fuse.strip_prefix("KEY_PURPOSE_").map(|number| format!("BLOCK_KEY{number}"));
    [fuse.to_owned()].into_iter().chain(block).collect()
}

fn mutant(fuse: &str, id: &str, what: String, burnt: Vec<Burnt>) -> Mutant {
    Mutant {
        kind: Kind::Security,
        id: format!("{}.fuse.{fuse}.{id}", Kind::Security),
        what,
        means:
            "the unit is open where it should be locked, or locked for good where it should be open"
                .to_owned(),
        remedy: "security_state".to_owned(),
        must: Must::Fail { naming: naming(fuse) },
        change: Change::Fuses(burnt),
    }
}
