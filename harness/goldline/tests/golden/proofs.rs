//! Proofs as no product has them: one of which nothing is left to say, and one that has everything there is.

use goldline::prove::{
    AcceptedInVain, Bounds, Case, CheckResult, GoodUnits, Kind, KindResult, Proof, SCHEMA,
    StageTime, Subject, Survivor, Tally, proof_page, proof_text, upper_bound, upper_bound_of,
};

/// Each as its text and as its page, by the snapshot's name.
pub fn reports() -> Vec<(String, String)> {
    let of = |name: &str, proof: &Proof| {
        [(name.to_owned(), proof_text(proof)), (format!("{name}_page"), proof_page(proof))]
    };
    [of("nothing_escapes", &nothing_escapes()), of("everything", &everything())].concat()
}

/// Every mutant ran, and was caught.
pub fn nothing_escapes() -> Proof {
    let caught = Tally { ran: 12, caught: 12, ..Tally::default() };
    Proof {
        schema: SCHEMA,
        profile: "doorbell".to_owned(),
        goldline: "0.1.0".to_owned(),
        subject: Subject::Description { model: "doorbell".to_owned() },
        seed: 0,
        budget_s: None,
        all: true,
        only: Vec::new(),
        again: "goldline prove doorbell".to_owned(),
        stopped: false,
        duration_ms: 61_530,
        cut_off: 0,
        bounds: Bounds::default(),
        good: GoodUnits {
            runs: 4,
            passed: 4,
            refused: Vec::new(),
            median_ms: 311,
            stages: vec![StageTime { stage: "wifi_join".to_owned(), median_ms: 7 }],
        },
        kinds: vec![kind(Kind::Nvs, 12, caught, Tally::default())],
        survivors: Vec::new(),
        wrong_causes: Vec::new(),
        undecided: Vec::new(),
        blamed: Vec::new(),
        impossible: Vec::new(),
        untold: Vec::new(),
        checks: vec![
            check("flash_integrity", 0, 0, &[]),
            check("nvs_readback", 12, 9, &[(Kind::Nvs, 12)]),
        ],
        accepted_in_vain: Vec::new(),
    }
}

/// Whatever can be said of a test is said of this one.
pub fn everything() -> Proof {
    let firmware = Tally { ran: 40, caught: 36, escaped: 2, wrong_cause: 2, ..Tally::default() };
    let bits = Tally { ran: 300, caught: 288, escaped: 10, impossible: 2, ..Tally::default() };
    let nvs = Tally { ran: 300, caught: 290, accepted: 9, undecided: 1, ..Tally::default() };
    let wire = Tally { ran: 60, good: 60, caught: 59, blamed: 1, ..Tally::default() };
    let none = Tally::default();
    let long = "firmware.doorbell_with_a_long_name.mqtt.topics.telemetry.reported.payload_template.language";
    let escaped = |mutant: &str, what: &str, kind, means: &str, remedy: &str| Survivor {
        case: case(mutant, Some(kind), what, "PASS", None),
        means: means.to_owned(),
        remedy: remedy.to_owned(),
        accepted_because: None,
    };
    let bit = |seed: u64| {
        let (id, what) = (
            format!("region.storage.bit@{:x}", seed * 0x1357_9bdf),
            "a bit of storage is inverted",
        );
        escaped(
            &id,
            what,
            Kind::Region,
            "the unit shows a wrong greeting",
            "flash_integrity over the region storage",
        )
    };
    let accepted = |number: u32| Survivor {
        accepted_because: Some("the firmware writes it anew at each start".to_owned()),
        ..escaped(
            &format!("nvs.state.count_{number}.other_value"),
            "the NVS entry count has another value",
            Kind::Nvs,
            "the unit counts its starts from another number",
            "nvs_readback",
        )
    };
    let unsafe_text = "the name is <script>alert(\"1\")</script> & more";
    let survivors = [
        escaped(
            "firmware.doorbell.name",
            unsafe_text,
            Kind::Firmware,
            "the unit has a strange name",
            "console_status",
        ),
        escaped(
            long,
            "the telemetry is in another language",
            Kind::Firmware,
            "the owner's app shows nothing",
            "a command that reads the telemetry back",
        ),
    ];
    let wrong = |number: u32| {
        let id = format!("firmware.doorbell.mqtt.topic_{number}");
        case(
            &id,
            Some(Kind::Firmware),
            "it publishes elsewhere",
            "FAIL",
            Some(("wifi.not_joined", "the unit did not join \"home\"")),
        )
    };
    Proof {
        subject: Subject::Image { path: "build/doorbell.elf".to_owned() },
        seed: 7,
        budget_s: Some(600),
        all: false,
        stopped: true,
        duration_ms: 412_008,
        cut_off: 3,
        good: GoodUnits {
            runs: 64,
            passed: 62,
            refused: vec![
                case("good", None, "", "FAIL", Some(("wifi.out_of_limits", "join took 15100 ms"))),
                case("good", None, "", "ERROR", Some(("testbed.broker", "the broker is gone"))),
            ],
            median_ms: 12_400,
            stages: Vec::new(),
        },
        kinds: vec![
            kind(Kind::Firmware, 40, firmware, none),
            kind(Kind::Region, 0, none, bits),
            kind(Kind::Nvs, 1200, nvs, none),
            kind(Kind::Wire, 4, Tally { ran: 4, good: 4, caught: 4, ..none }, wire),
            kind(Kind::Security, 3, none, none),
        ],
        survivors: (0..9).map(accepted).chain(survivors).chain((1..11).map(bit)).collect(),
        wrong_causes: vec![wrong(1), wrong(2)],
        undecided: vec![case(
            "nvs.state.ssid.missing",
            Some(Kind::Nvs),
            "the NVS entry ssid is missing",
            "ERROR",
            Some(("testbed.broker", "the broker is gone")),
        )],
        blamed: vec![case(
            "wire.late@3",
            Some(Kind::Wire),
            "each answer arrives late",
            "FAIL",
            Some(("console.no_answer", "nothing came within 5 s")),
        )],
        impossible: vec![
            case(
                "region.app.bit@1",
                Some(Kind::Region),
                "a bit of app is inverted",
                "refused",
                None,
            ),
            case(
                "region.app.bit@2",
                Some(Kind::Region),
                "a bit of app is inverted",
                "refused",
                None,
            ),
        ],
        checks: vec![
            check("flash_integrity", 288, 288, &[(Kind::Region, 288)]),
            check("nvs_readback", 290, 281, &[(Kind::Nvs, 290)]),
            check("wifi_join", 11, 0, &[(Kind::Firmware, 2), (Kind::Nvs, 9)]),
            check("mqtt_connect", 34, 34, &[(Kind::Firmware, 34)]),
            CheckResult { has_mutants: false, ..check("registry_record", 0, 0, &[]) },
            check("", 2, 2, &[(Kind::Firmware, 2)]),
        ],
        accepted_in_vain: vec![
            AcceptedInVain {
                mutant: "nvs.state.*".to_owned(),
                because: "the firmware writes it anew at each start".to_owned(),
                caught: vec![
                    "nvs.state.owner.missing".to_owned(),
                    "nvs.state.place.missing".to_owned(),
                ],
            },
            AcceptedInVain {
                mutant: "region.gone.*".to_owned(),
                because: "nobody reads it".to_owned(),
                caught: Vec::new(),
            },
        ],
        ..nothing_escapes()
    }
}

fn kind(kind: Kind, there_are: usize, counted: Tally, drawn: Tally) -> KindResult {
    let judged = counted.judged();
    let is_part = judged < there_are;
    KindResult {
        kind,
        counted,
        there_are,
        counted_upper_bound: is_part
            .then(|| upper_bound_of(there_are, counted.misjudged(), judged))
            .flatten(),
        drawn,
        upper_bound: upper_bound(drawn.misjudged(), drawn.judged()),
    }
}

fn check(id: &str, caught: usize, alone: usize, by_kind: &[(Kind, usize)]) -> CheckResult {
    CheckResult {
        id: id.to_owned(),
        caught,
        alone,
        others_not_asked: alone / 2,
        has_mutants: true,
        by_kind: by_kind.iter().copied().collect(),
        median_ms: (!id.is_empty()).then_some(12),
    }
}

fn case(
    mutant: &str,
    kind: Option<Kind>,
    what: &str,
    verdict: &str,
    why: Option<(&str, &str)>,
) -> Case {
    Case {
        mutant: mutant.to_owned(),
        kind,
        what: what.to_owned(),
        verdict: verdict.to_owned(),
        code: why.map(|(code, _)| code.to_owned()),
        message: why.map(|(_, message)| message.to_owned()),
    }
}
