//! `goldline repeatability`: units that are run again and again, and what a station's records say of the test.

use std::{fs, process::Command};

use serde_json::Value;

use super::{
    page,
    program::{Ended, PROFILE, Station},
    schema::python,
};

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/repeatability.md"));

const UNITS: [&str; 2] = ["24:0a:c4:00:05:01", "24:0a:c4:00:05:02"];

/// A meter of the product's own.
const METER: &str = "
[[check]]
id = \"command\"
name = \"meter\"
command = [\"./meter.sh\"]
within_s = 60

[check.limits]
current = { lower = -5, upper = 5, unit = \"mA\" }
";

/// Shows what was written down for this unit in this nest, a line after the other.
const SCRIPT: &str = r#"#!/bin/sh
asked=$(cat)
unit=$(echo "$asked" | sed 's/.*"mac": *"\([^"]*\)".*/\1/')
nest=$(echo "$asked" | sed 's/.*"device": *"nest:\([^"]*\)".*/\1/')
values="$unit@$nest"
current=$(sed -n 1p "$values")
sed -i 1d "$values"
echo "{\"measurements\": {\"current\": $current}}"
"#;

/// A jig of two nests, whose meter will show these values in each of them, by unit.
fn jig(shown: [[&[f64]; 2]; 2]) -> Station {
    let station = Station::new();
    station.write("vault.toml", format!("{PROFILE}\n{METER}"));
    station.executable("meter.sh", SCRIPT);
    for (unit, nests) in UNITS.iter().zip(shown) {
        for (nest, values) in ["left", "right"].iter().zip(nests) {
            let lines: String = values.iter().map(|value| format!("{value}\n")).collect();
            station.write(&format!("{unit}@{nest}"), lines);
        }
    }
    for (file, [left, right]) in [("as_they_lie.toml", [0, 1]), ("swapped.toml", [1, 0])] {
        let nest = |name: &str, unit: usize| {
            let unit = UNITS[unit];
            format!("[[nest]]\nname = \"{name}\"\ndevice = \"simulator:?mac={unit}\"\n")
        };
        station.write(file, nest("left", left) + &nest("right", right));
    }
    station
}

fn study(station: &Station, words: &[&str]) -> Ended {
    station.unit([&["repeatability", "vault.toml"], words].concat())
}

fn in_nests(station: &Station, file: &str, words: &[&str]) -> Ended {
    let nests = ["--station", file, "--device", "nest:all"];
    study(station, &[&nests[..], words].concat())
}

fn measurement<'a>(study: &'a Value, check: &str, name: &str) -> &'a Value {
    let all = study["measurements"].as_array().expect("a list");
    let found = all.iter().find(|it| it["check"] == check && it["name"] == name);
    found.unwrap_or_else(|| panic!("no {check}.{name} in {study:#}"))
}

#[track_caller]
fn assert_near(found: &Value, expected: f64) {
    let number = found.as_f64().unwrap_or_else(|| panic!("{found} is no number"));
    assert!((number - expected).abs() < 1e-6, "{number}, expected {expected}");
}

/// Two parts, two appraisers and three trials of AIAG's example.
const CROSSED: [[&[f64]; 2]; 2] =
    [[&[0.29, 0.41, 0.64], &[0.08, 0.25, 0.07]], [&[-0.56, -0.68, -0.58], &[-0.47, -1.22, -0.68]]];

/// The figures were computed apart, with numpy and scipy.
#[test]
fn units_that_went_through_both_nests_are_a_gauge_study_of_the_records() {
    let station = jig(CROSSED);
    let first = in_nests(&station, "as_they_lie.toml", &["--times", "3", "--json"]);
    assert_eq!(first.code(), 0, "{first:?}");
    let first = first.json();
    let current = measurement(&first, "meter", "current");
    assert!(current["gauge"].is_null(), "each unit stayed where it lay: {current:#}");
    let why = current["no_gauge"].as_str().expect("a reason");
    assert!(why.contains("no unit was measured at least twice by each of the 2 nests"), "{why}");
    let second = in_nests(&station, "swapped.toml", &["--times", "3", "--json"]);
    assert_eq!(second.code(), 0, "{second:?}");

    let of_records = study(&station, &["--from-records", "--json"]);
    assert_eq!(of_records.code(), 0, "{of_records:?}");
    let found = of_records.json();
    assert_eq!((&found["schema"], &found["runs"]), (&1.into(), &12.into()));
    let current = measurement(&found, "meter", "current");
    assert_eq!((&current["kind"], &current["unit"]), (&"variable".into(), &"mA".into()));
    let gauge = &current["gauge"];
    assert_eq!(gauge["parts"], serde_json::json!(UNITS));
    assert_eq!(gauge["appraisers"], serde_json::json!(["nest:left", "nest:right"]));
    assert_eq!(gauge["trials"], 3);
    let anova = &gauge["anova"];
    assert_near(&anova["part"]["ss"], 2.930_408_333);
    assert_near(&anova["appraiser"]["ss"], 0.185_008_333);
    assert_near(&anova["interaction"]["p"], 0.624_497_757);
    assert_eq!(anova["pooled"], true);
    let variation = &anova["variation"];
    assert_near(&variation["ev"], 0.211_889_646);
    assert_near(&variation["av"], 0.152_813_127);
    assert_near(&variation["pv"], 0.693_482_890);
    assert_near(&variation["grr_of_tv_percent"], 35.252_987_9);
    assert_eq!(variation["rating_of_tv"], "not_acceptable");
    assert_near(&variation["grr_of_tolerance_percent"], 15.674_714_2);
    assert_eq!(variation["rating_of_tolerance"], "conditional");

    // The same for people; and the limit that is asked for decides the exit code.
    let text = study(&station, &["--from-records", "--max-grr", "10"]);
    assert_eq!(text.code(), 1, "{text:?}");
    assert!(text.said().contains("meter.current takes 15.7 % of its tolerance"), "{text:?}");
    for line in ["12 runs of 2 units", "gauge R&R, 2 units × 2 nests × 3 trials", "pooled"] {
        assert!(text.stdout.contains(line), "{line}: {}", text.stdout);
    }
    assert_eq!(study(&station, &["--from-records", "--max-grr", "30"]).code(), 0);
}

#[test]
fn a_unit_whose_verdict_varies_is_the_first_thing_said() {
    let station = jig([[&[1.0, 9.0, 1.0], &[]], [&[], &[2.0, 2.5, 3.0]]]);
    let text = in_nests(&station, "as_they_lie.toml", &["--times", "3"]);
    assert_eq!(text.code(), 1, "{text:?}");
    let mut lines = text.stdout.lines();
    assert_eq!(lines.next(), Some("6 runs of 2 units: 1 unit CAME TO DIFFERENT VERDICTS"));
    let unit = lines.next().expect("the unit");
    for part in [UNITS[0], "1 FAIL measured.out_of_limits, 2 PASS", "differs"] {
        assert!(unit.contains(part), "{part}: {unit}");
    }
    assert!(text.stderr.contains("round 2 of 3: 1 FAIL, 1 PASS"), "{}", text.stderr);

    let found = study(&station, &["--from-records", "--json"]);
    let study = found.json();
    assert_eq!((found.code(), &study["agrees"]), (1, &false.into()), "{study:#}");
    assert_eq!(study["units"][0]["unit"], UNITS[0]);
    let came_to = serde_json::json!({ "FAIL measured.out_of_limits": 1, "PASS": 2 });
    assert_eq!(study["units"][0]["came_to"], came_to);
    assert_eq!(study["units"][1]["agrees"], true);
}

/// The units are moved before the last round, as the page says. Of thirteen trials the newest three count.
#[test]
fn the_page_s_commands_come_to_a_gauge_study() {
    let many = |newest: [f64; 3]| [&[0.25; 10][..], &newest].concat();
    let (left, right) = (many([0.29, 0.41, 0.64]), many([-0.56, -0.68, -0.58]));
    let station = jig([[&left, &[0.08, 0.25, 0.07]], [&[-0.47, -1.22, -0.68], &right]]);
    let commands = page::commands(PAGE);
    let [again, as_they_lie, moved, of_records] = commands.as_slice() else {
        panic!("four commands, not {commands:?}")
    };
    let files = ["as_they_lie.toml", "as_they_lie.toml", "swapped.toml", "swapped.toml"];
    for (file, words) in files.into_iter().zip([again, as_they_lie, moved]) {
        fs::copy(station.path(file), station.path("jig.toml")).expect("it is there");
        let ended = station.unit(words);
        assert_eq!(ended.code(), 0, "{words:?}: {ended:?}");
    }
    let ended = station.unit(of_records);
    assert_eq!(ended.code(), 0, "{ended:?}");
    for line in ["32 runs of 2 units", "gauge R&R, 2 units × 2 nests × 3 trials"] {
        assert!(ended.stdout.contains(line), "{line}: {}", ended.stdout);
    }
}

/// A sound test of bad units is a sound test; and no two runs have a simulated fault in the same place.
#[test]
fn units_that_always_fail_agree() {
    let station = Station::new();
    let words = ["repeatability", "espvault", "--json", "--times", "2"];
    let bad = ["--fault", "flash.nvs_bit", "--seed", "7", "--device", "simulator:"];
    let ended = station.unit([&words[..], &bad, &bad[4..]].concat());
    let study = ended.json();
    assert_eq!((ended.code(), &study["agrees"]), (0, &true.into()), "{study:#}");
    assert_eq!(study["units"].as_array().map(Vec::len), Some(2), "{study:#}");
    let export = ["records", "export", "--format", "json"];
    let kept = Ended::of(&mut station.unit_command(export)).json();
    let records = kept["records"].as_array().expect("the runs");
    let mut seeds: Vec<_> = records.iter().map(|it| it["simulation"]["seed"].as_u64()).collect();
    seeds.sort_unstable();
    assert_eq!(seeds, [7, 8, 9, 10].map(Some));
}

#[test]
fn a_bench_that_falls_short_is_no_repetition() {
    let station = Station::new();
    let words = ["repeatability", "espvault", "--json", "--times", "3", "--fault", "broker.down"];
    let ended = station.unit(words);
    let study = ended.json();
    assert_eq!((ended.code(), &study["runs"]), (3, &0.into()), "{study:#}");
    let left_out = study["left_out"].as_object().expect("reasons");
    let (why, runs) = left_out.iter().next().expect("a reason");
    assert!(why.starts_with("ERROR, testbed."), "{why}");
    assert_eq!(runs, 1, "the second round would have been the same");
    assert!(ended.said().contains("the rest is not run"), "{ended:?}");

    let none = station.unit(["repeatability", "espvault", "--from-records"]);
    assert_eq!(none.code(), 2, "{none:?}");
    assert!(none.said().contains("no run of espvault that says anything of a unit"), "{none:?}");
}

/// The spread is that of the records, computed here once more.
#[test]
fn the_spread_of_a_live_study_is_that_of_its_records() {
    let station = Station::new();
    let devices = UNITS.map(|unit| format!("simulator:?mac={unit}"));
    let words = ["repeatability", "espvault", "--json", "--times", "5"];
    let devices = devices.iter().flat_map(|device| ["--device", device]);
    let ended = station.unit(words.into_iter().chain(devices));
    let study = ended.json();
    assert_eq!((ended.code(), &study["runs"]), (0, &10.into()), "{study:#}");
    let kept = Ended::of(&mut station.unit_command(["records", "export", "--format", "json"]));
    let kept = kept.json();
    let records = kept["records"].as_array().expect("the runs");
    let rssi = measurement(&study, "wifi_join", "rssi");
    assert_eq!(rssi["kind"], "without_spread", "the simulated signal never changes: {rssi:#}");
    let keys = measurement(&study, "nvs_readback", "keys_compared");
    assert_eq!(keys["kind"], "count", "{keys:#}");
    let connect = measurement(&study, "mqtt_connect", "connect_ms");
    for (unit, cell) in UNITS.iter().zip(connect["cells"].as_array().expect("cells")) {
        assert_eq!(cell["part"], *unit);
        let values: Vec<f64> = records
            .iter()
            .filter(|record| record["unit"]["mac"] == *unit)
            .map(|record| {
                let checks = record["checks"].as_array().expect("checks");
                let check = checks.iter().find(|it| it["id"] == "mqtt_connect").expect("it ran");
                let measured = check["measurements"].as_array().expect("measurements");
                let of = measured.iter().find(|it| it["name"] == "connect_ms").expect("measured");
                of["value"].as_f64().expect("a number")
            })
            .collect();
        assert_eq!((cell["n"].as_u64(), values.len()), (Some(5), 5));
        let mean = values.iter().sum::<f64>() / 5.0;
        assert_near(&cell["mean"], mean);
        let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
        assert_near(&cell["s"], (squares / 4.0).sqrt());
    }
}

/// One unit that two operators tested: no part variation, and an appraiser's.
#[test]
fn operators_are_the_appraisers_where_that_is_asked_for() {
    let station = jig([[&[1.0, 1.5, 2.0, 2.5, 3.0], &[]], [&[], &[]]]);
    let nest = ["--station", "as_they_lie.toml", "--device", "nest:left", "--times", "2"];
    for operator in ["Ann", "Robin"] {
        let words = [&nest[..], &["--operator", operator, "--json"]].concat();
        assert_eq!(study(&station, &words).code(), 0, "{operator}");
    }
    let run = ["run", "vault.toml", "--station", "as_they_lie.toml", "--device", "nest:left"];
    assert_eq!(station.unit(run).code(), 0);
    let ended = study(&station, &["--from-records", "--appraiser", "operator", "--json"]);
    let found = ended.json();
    assert_eq!((ended.code(), &found["runs"]), (0, &4.into()), "{found:#}");
    assert_eq!(found["left_out"], serde_json::json!({ "no operator is named": 1 }));
    let gauge = &measurement(&found, "meter", "current")["gauge"];
    assert_eq!(gauge["appraisers"], serde_json::json!(["Ann", "Robin"]));
    let variation = &gauge["anova"]["variation"];
    // Within: 2 · 0.125 / 2. Between: means 1.25 and 2.25, (1.0 − 0.125) / 2.
    assert_near(&variation["ev"], 0.125_f64.sqrt());
    assert_near(&variation["av"], 0.4375_f64.sqrt());
    assert!(variation["pv"].is_null() && variation["ndc"].is_null(), "{variation:#}");
}

#[test]
fn runs_with_another_text_of_the_profile_do_not_count() {
    let station = Station::new();
    station.write("vault.toml", PROFILE);
    assert_eq!(study(&station, &["--times", "2"]).code(), 0);
    station.write("vault.toml", format!("# Changed.\n{PROFILE}"));
    let one = station.unit(["run", "vault.toml"]);
    assert_eq!(one.code(), 0, "{one:?}");
    let ended = study(&station, &["--from-records", "--json"]);
    let found = ended.json();
    assert_eq!(found["left_out"], serde_json::json!({ "the profile had another text": 2 }));
    // One run agrees with itself, which proves nothing.
    assert_eq!((ended.code(), &found["runs"]), (3, &1.into()), "{found:#}");
    assert!(ended.said().contains("nothing was repeated"), "{ended:?}");
}

#[test]
fn what_cannot_be_studied_is_refused() {
    let station = Station::new();
    for words in [
        &["repeatability", "espvault"][..],
        &["repeatability", "espvault", "--times", "1"],
        &["repeatability", "espvault", "--times", "2", "--from-records"],
        &["repeatability", "espvault", "--times", "2", "--loop"],
        &["repeatability", "espvault", "--times", "2", "--since", "2026-11-26"],
        &["repeatability", "espvault", "--times", "2", "--max-grr", "0"],
        &["repeatability", "--from-records"],
    ] {
        let ended = station.unit(words);
        assert_eq!((ended.code(), &*ended.stdout), (2, ""), "{words:?}: {ended:?}");
    }
    assert!(!station.state().exists(), "nothing was begun");
}

const JUDGE: &str = "\
import json, sys
import jsonschema
schema, study = (json.load(open(path)) for path in sys.argv[1:])
jsonschema.Draft202012Validator.check_schema(schema)
jsonschema.Draft202012Validator(schema).validate(study)
study['agrees'] = 'perhaps'
assert not jsonschema.Draft202012Validator(schema).is_valid(study)
";

#[test]
fn what_json_prints_is_what_the_schema_says() {
    let Some(python) = python() else { return };
    let station = jig(CROSSED);
    for file in ["as_they_lie.toml", "swapped.toml"] {
        assert_eq!(in_nests(&station, file, &["--times", "3"]).code(), 0);
    }
    let schema = station.goldline(["repeatability", "--schema"]);
    station.write("schema.json", schema.stdout);
    let found = study(&station, &["--from-records", "--json"]);
    assert!(found.stdout.contains("\"anova\""), "{}", found.stdout);
    station.write("study.json", found.stdout);
    let judged = Command::new(python)
        .args(["-c", JUDGE])
        .args(["schema.json", "study.json"].map(|name| station.path(name)))
        .output()
        .expect("Python starts");
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stderr));
    assert!(fs::read_to_string(station.path("study.json")).is_ok_and(|text| text.len() > 1000));
}
