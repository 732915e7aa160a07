//! The table of damaged images leaves out no code that the check has.

use std::collections::BTreeSet;

use goldline_nvs::Code;
use libtest_mimic::Trial;

use crate::damage::DAMAGED;

pub fn trials() -> Vec<Trial> {
    vec![Trial::test("damaged::every_code_is_caused", || {
        every_code_is_caused();
        Ok(())
    })]
}

fn every_code_is_caused() {
    let rows = DAMAGED.iter().flat_map(|damaged| damaged.says);
    let caused: BTreeSet<Code> = rows.map(|(code, ..)| *code).collect();
    let missing: Vec<_> = Code::ALL.iter().filter(|code| !caused.contains(code)).collect();
    assert!(missing.is_empty(), "no damaged image causes {missing:?}");
}
