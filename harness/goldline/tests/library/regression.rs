//! Judgements that were wrong once, made of observations that no simulated unit gives.

use std::{io, sync::Arc};

use goldline::{
    check::{JoinObservation, Observations, ProbeReport, UnitLog, Witness, judge},
    device::{ChipFacts, ConsoleLine},
    identity::Mac,
    image::FlashImages,
    plan::{Bindings, BoundPlan, Given, Identity, Plan, Scope, Sources, Text},
    profile::{Chip, Profile, find},
    record::{Code, Outcome, Verdict},
};
use rstest::rstest;

const MAC: Mac = Mac([0x24, 0x0A, 0xC4, 0, 1, 0x10]);

/// The declared identity needs neither.
struct Nothing;

impl Sources for Nothing {
    fn lease(&mut self, value: &str) -> io::Result<u32> {
        panic!("a number was leased for {value}")
    }

    fn fill_random(&mut self, _buffer: &mut [u8]) -> io::Result<()> {
        panic!("a secret was made")
    }
}

/// The declared unit's plan; what is flashed besides its values does not matter here.
fn plan(profile: &Arc<Profile>) -> BoundPlan {
    let mut bindings =
        Bindings::resolve(profile, &Given::default(), Identity::Declared, &mut Nothing)
            .expect("samples");
    bindings.bind("unit.mac", Text::public(MAC.to_string())).expect("not bound yet");
    let bytes = || vec![0; 16];
    let images = FlashImages {
        bootloader: bytes(),
        partition_table: bytes(),
        app: bytes(),
        factory_app: None,
        others: Vec::new(),
        updates: Vec::new(),
    };
    BoundPlan::bind(Plan::new(Arc::clone(profile), Scope::Run), bindings, &images).expect("it fits")
}

/// A unit that never got an address.
fn unjoined(log: &[&str], refused: Option<u16>, sound: bool) -> Observations {
    let line = |text: &&str| ConsoleLine { at_ms: 0, text: (*text).to_owned() };
    Observations {
        chip: Some(ChipFacts { chip: Chip::Esp32, revision: None, mac: MAC, flash_size: 4 << 20 }),
        booted: true,
        console: UnitLog::of(log.iter().map(line).collect()),
        join: Some(JoinObservation {
            refused,
            witness: Some(Witness::of_probe(ProbeReport {
                tried: "join".to_owned(),
                outcome: if sound { Ok("joined".to_owned()) } else { Err("no".to_owned()) },
            })),
            ..JoinObservation::default()
        }),
        ..Observations::default()
    }
}

const STARTED: &str = "I (312) main_task: Calling app_main()";
/// Many products print such a line for a key that they can do without.
const MISSES_A_KEY: &str = "W (400) app: no calibration stored: ESP_ERR_NVS_NOT_FOUND";
const NO_NETWORK: &str = "W (700) wifi: disconnected, reason: 201";

/// With no access point on the air, the line about a key made the unit bad, without any witness.
#[rstest]
#[case::bench_at_fault(&[STARTED, MISSES_A_KEY, NO_NETWORK], None, false, Outcome::Error, Code::TestbedAccessPoint)]
#[case::refused_by_the_bench(&[STARTED, MISSES_A_KEY], Some(15), false, Outcome::Error, Code::TestbedAccessPoint)]
#[case::unit_at_fault(&[STARTED, MISSES_A_KEY, NO_NETWORK], None, true, Outcome::Fail, Code::WifiNotFound)]
#[case::never_tried(&[STARTED, MISSES_A_KEY], None, true, Outcome::Fail, Code::FirmwareConfiguration)]
fn a_missing_key_is_the_reason_only_if_the_unit_never_tried_to_join(
    #[case] log: &[&str],
    #[case] refused: Option<u16>,
    #[case] sound: bool,
    #[case] outcome: Outcome,
    #[case] code: Code,
) {
    let profile = Arc::new(find("espvault", None).expect("a shipped profile"));
    let seen = unjoined(log, refused, sound);
    let judgement = judge(&profile, Scope::Run, Some(&plan(&profile)), &seen);
    let wifi = judgement.checks.iter().find(|check| check.id == "wifi_join").expect("its check");
    assert_eq!((wifi.outcome, wifi.diagnosis.as_ref().map(|why| why.code)), (outcome, Some(code)));
    assert_ne!(judgement.verdict, Some(Verdict::Pass));
}
