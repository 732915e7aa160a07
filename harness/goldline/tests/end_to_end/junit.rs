//! `--junit`: what a CI reads of units. Python's own XML reader is the judge of the form.

use std::{fs, path::Path, process::Command};

use rstest::rstest;
use serde_json::Value;

use super::program::Station;

/// The attributes that the schemas of CIs ask for, and the sums that they show; prints the file as JSON.
const JUDGE: &str = r#"
import json, sys
import xml.etree.ElementTree as ET
root = ET.parse(sys.argv[1]).getroot()
assert root.tag == 'testsuites', root.tag
suites = []
for suite in root:
    assert suite.tag == 'testsuite', suite.tag
    cases = []
    for case in suite.findall('testcase'):
        assert case.get('name') and case.get('classname'), case.attrib
        if case.get('time') is not None: float(case.get('time'))
        said = [part for part in case if part.tag in ('failure', 'error', 'skipped')]
        assert len(said) <= 1, said
        for part in said:
            assert part.get('message'), ET.tostring(part)
            assert part.tag == 'skipped' or part.get('type'), ET.tostring(part)
        cases.append({'name': case.get('name'), 'outcome': said[0].tag if said else 'pass',
                      'type': said[0].get('type') if said else None,
                      'message': said[0].get('message') if said else None,
                      'text': said[0].text if said else None, 'time': case.get('time')})
    sums = {'tests': len(cases), 'failures': 'failure', 'errors': 'error'}
    for name, what in sums.items():
        count = what if name == 'tests' else sum(case['outcome'] == what for case in cases)
        assert int(suite.get(name)) == count, (name, suite.attrib)
    float(suite.get('time'))
    assert suite.get('name') and suite.get('timestamp'), suite.attrib
    properties = [[p.get('name'), p.get('value')] for p in suite.find('properties')]
    suites.append({'name': suite.get('name'), 'cases': cases, 'properties': properties})
for name in ('tests', 'failures', 'errors'):
    assert int(root.get(name)) == sum(int(suite.get(name)) for suite in root), root.attrib
print(json.dumps(suites))
"#;

/// The suites of a file, as [`JUDGE`] has them; `None` without a Python, which skips the test by name.
pub fn suites(file: &Path) -> Option<Value> {
    let said = Command::new("python3").args(["-c", JUDGE]).arg(file).output();
    let Ok(said) = said else {
        assert!(std::env::var_os("CI").is_none(), "python3 is missing, and CI must have it");
        eprintln!("skipped: no python3");
        return None;
    };
    let xml = fs::read_to_string(file).expect("the file was written");
    assert!(said.status.success(), "{}\n{xml}", String::from_utf8_lossy(&said.stderr));
    Some(serde_json::from_slice(&said.stdout).expect("JSON"))
}

fn property<'a>(suite: &'a Value, name: &str) -> Option<&'a str> {
    let all = suite["properties"].as_array().expect("a list");
    all.iter().find(|pair| pair[0] == name).and_then(|pair| pair[1].as_str())
}

/// The outcome of each case, by its name.
fn outcomes(suite: &Value) -> Vec<(&str, &str)> {
    let cases = suite["cases"].as_array().expect("a list").iter();
    cases.map(|case| (case["name"].as_str().unwrap(), case["outcome"].as_str().unwrap())).collect()
}

#[test]
fn a_good_unit_is_a_suite_of_passed_checks_with_what_tells_runs_apart() {
    let station = Station::new();
    let file = station.path("units.xml");
    let record = station.unit(["run", "--json", "--junit", file.to_str().unwrap()]).json();
    let Some(suites) = suites(&file) else { return };
    let suite = &suites[0];
    assert_eq!(
        outcomes(suite),
        ["flash_integrity", "nvs_readback", "wifi_join", "mqtt_connect", "secret_hygiene"]
            .map(|id| (id, "pass"))
    );
    for (name, known) in [
        ("run_id", &record["run_id"]),
        ("mac", &record["unit"]["mac"]),
        ("device", &record["device"]),
        ("network", &record["network"]["name"]),
        ("profile_digest", &record["profile_digest"]),
    ] {
        assert_eq!(property(suite, name), known.as_str(), "{name}");
    }
    assert_eq!(property(suite, "retry_of"), None);
    let xml = fs::read_to_string(&file).expect("written");
    let credentials = station.path("saved.json");
    let again = ["run", "--json", "--save-credentials", credentials.to_str().unwrap()];
    assert_eq!(station.unit(again).code(), 0);
    let saved: Value = serde_json::from_slice(&fs::read(&credentials).unwrap()).expect("JSON");
    for name in ["wifi_password", "mqtt_password"] {
        let secret = saved[0]["values"][name].as_str().unwrap_or_else(|| panic!("no {name}"));
        assert!(!xml.contains(secret), "{name} stands in {xml}");
    }
}

#[rstest]
#[case::a_bad_unit("flash.nvs_bit", 1, "FAIL", "failure")]
#[case::a_broken_bench("broker.down", 3, "ERROR", "error")]
fn what_is_no_pass_stands_in_its_case_with_code_message_and_action(
    #[case] fault: &str,
    #[case] code: i32,
    #[case] verdict: &str,
    #[case] outcome: &str,
) {
    let station = Station::new();
    let file = station.path("units.xml");
    let words = ["run", "--json", "--fault", fault, "--junit", file.to_str().unwrap()];
    let ended = station.unit(words);
    let record = ended.json();
    assert_eq!((ended.code(), record["verdict"].as_str()), (code, Some(verdict)), "{record:#}");
    let Some(suites) = suites(&file) else { return };
    let cases = suites[0]["cases"].as_array().expect("cases");
    let of_run: Vec<&Value> =
        cases.iter().filter(|case| case["type"] == record["diagnosis"]["code"]).collect();
    let [case] = of_run.as_slice() else { panic!("one case says it: {cases:#?}") };
    assert_eq!(
        (&case["outcome"], &case["message"]),
        (&outcome.into(), &record["diagnosis"]["message"])
    );
    let text = case["text"].as_str().expect("text");
    assert!(text.contains(record["diagnosis"]["action"].as_str().expect("an action")), "{text}");
    for (check, case) in record["checks"].as_array().expect("checks").iter().zip(cases) {
        assert_eq!(check["id"], case["name"]);
        let skipped = case["outcome"] == "skipped";
        assert_eq!(check["outcome"] == "not_run", skipped, "{case:#}");
        let reason = case["message"].as_str().unwrap_or_default();
        assert!(
            !skipped || reason.contains(record["diagnosis"]["code"].as_str().unwrap()),
            "{reason}"
        );
    }
}

#[test]
fn each_unit_has_a_suite_of_its_own_and_a_provisioning_a_case_of_its_own() {
    let station = Station::new();
    let file = station.path("units.xml");
    let devices = ["--device", "simulator:", "--device", "simulator:"];
    let words = ["provision", "--json", "--junit", file.to_str().unwrap()];
    let records = station.unit([&words, devices.as_slice()].concat()).json();
    let Some(suites) = suites(&file) else { return };
    assert_eq!(suites.as_array().map(Vec::len), Some(2));
    for unit in 0..2 {
        assert_eq!(property(&suites[unit], "mac"), records[unit]["unit"]["mac"].as_str());
        assert_eq!(outcomes(&suites[unit]).last(), Some(&("provision", "pass")));
    }
}

#[test]
fn what_is_refused_writes_no_file() {
    let station = Station::new();
    let file = station.path("units.xml");
    let words = ["run", "--golden", "missing.bin", "--junit", file.to_str().unwrap()];
    assert_eq!(station.unit(words).code(), 2);
    assert!(!file.exists());
}

/// Also where it lies in a folder that the run makes.
#[test]
fn it_may_lie_in_the_folder_of_the_run() {
    let station = Station::new();
    let words = ["run", "--json", "--out", "report", "--junit", "report/units.xml"];
    assert_eq!(station.unit(words).code(), 0);
    assert!(station.path("report/record.json").exists());
    assert!(station.path("report/units.xml").exists());
}
