//! The JSON Schema of profiles, as an editor uses it: Python's jsonschema is the judge.

use std::{fs, path::PathBuf, process::Command};

use super::program::Station;

/// Says for each profile, on a line of its own, whether the schema takes it.
const JUDGE: &str = "\
import json, pathlib, sys, tomllib
import jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
judge = jsonschema.Draft202012Validator(schema)
for path in map(pathlib.Path, sys.argv[2:]):
    errors = [error.message for error in judge.iter_errors(tomllib.loads(path.read_text()))]
    print(path.name, 'refused: ' + errors[0] if errors else 'taken')
";

/// Python of the environment that holds the judge.
pub fn python() -> Option<PathBuf> {
    let repository = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let venv = std::env::var_os("GOLDLINE_VENV").map_or(repository.join(".venv"), PathBuf::from);
    let python = venv.join("bin/python");
    let import = ["-c", "import jsonschema, tomllib"];
    let there = Command::new(&python).args(import).output().is_ok_and(|said| said.status.success());
    if there {
        return Some(python);
    }
    assert!(std::env::var_os("CI").is_none(), "jsonschema is missing, and CI must have it");
    eprintln!("skipped: no jsonschema for Python at {}", venv.display());
    None
}

#[test]
fn an_editor_takes_every_shipped_profile_and_marks_what_is_wrong() {
    let Some(python) = python() else { return };
    let station = Station::new();
    let schema = station.goldline(["profile", "schema"]);
    assert_eq!(schema.code(), 0);
    let schema = station.write("schema.json", schema.stdout);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/profiles");
    let files = |folder: &str| fs::read_dir(folder).expect("the shipped profiles");
    let shipped = files(folder).chain(files(&format!("{folder}/reference")));
    let shipped = shipped.map(|entry| entry.expect("an entry").path());
    let mut profiles: Vec<PathBuf> = shipped.filter(|path| path.is_file()).collect();
    let sound = fs::read_to_string(format!("{folder}/zeroconf-ca.toml")).expect("it ships");
    let wrong = [
        ("unknown-key.toml", sound.replace("called_by", "called_from")),
        (
            "wrong-type.toml",
            sound.replace("minimum_validity_days = 30", "minimum_validity_days = \"a\""),
        ),
        (
            "missing-chip.toml",
            sound.replace("[chip]\nmodel = \"esp32s3\"\nflash_size = \"16MB\"\n", ""),
        ),
    ];
    profiles.extend(wrong.iter().map(|(name, text)| {
        assert_ne!(*text, sound, "{name} changes nothing");
        station.write(name, text)
    }));
    let said = Command::new(python)
        .args(["-c", JUDGE])
        .arg(schema)
        .args(&profiles)
        .output()
        .expect("Python runs");
    assert!(said.status.success(), "{said:?}");
    let text = String::from_utf8(said.stdout).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), profiles.len(), "{text}");
    for line in lines {
        let is_wrong = wrong.iter().any(|(name, _)| line.starts_with(name));
        assert_eq!(line.contains(" refused: "), is_wrong, "{text}");
    }
}
