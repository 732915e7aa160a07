//! Bugs that were found once, each in the words of who met it.

use std::{
    fs::{self, File},
    os::unix::fs::DirBuilderExt,
    process::Stdio,
};

use serde_json::Value;

use super::program::{Ended, PROFILE, Station};

/// `goldline … | head -1` ended in a panic and exit code 101.
#[test]
fn a_reader_that_has_seen_enough_does_not_change_the_exit_code() {
    let station = Station::new();
    for arguments in [["profile", "list"], ["simulator", "faults"], ["run", "--json"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = station.command();
        command.args(arguments).env("GOLDLINE_STATE", station.state());
        let ended = Ended::of(command.stdout(writer).stderr(Stdio::piped()));
        assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{arguments:?}");
    }
}

/// The verdict was lost in a panic, and exit code 101 said nothing.
#[test]
fn a_verdict_that_cannot_be_printed_is_an_error_and_kept_in_the_journal() {
    let station = Station::new();
    let full = File::options().write(true).open("/dev/full").expect("Linux has it");
    let ended = Ended::of(station.unit_command(["run", "--json"]).stdout(full));
    assert_eq!(ended.code(), 3, "{ended:?}");
    assert!(ended.said().contains("cannot write to standard output"), "{ended:?}");
    let journal = fs::read_to_string(station.state().join("journal.jsonl")).expect("the journal");
    let mut lines = journal.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    let ended: Value = lines.find(|line: &Value| line["event"] == "ended").expect("its end");
    assert_eq!(ended["record"]["verdict"], "PASS");
}

/// The unit was provisioned, judged and forgotten: exit code 2, and no record.
#[test]
fn a_report_folder_that_cannot_be_made_is_refused_before_the_run() {
    let station = Station::new();
    station.write("report", "a file, not a folder");
    let ended = station.unit(["run", "--json", "--out", "report"]);
    assert_eq!((ended.code(), ended.stdout.as_str()), (2, ""), "{ended:?}");
    assert!(ended.said().contains("report is a file, and a folder is expected"), "{ended:?}");
    assert!(!station.state().exists(), "nothing was touched");
}

/// As above, with a ledger that cannot be written: the record came neither out nor with a verdict.
#[test]
fn a_unit_that_cannot_be_remembered_still_has_its_record() {
    let station = Station::new();
    fs::DirBuilder::new().mode(0o700).create(station.state()).expect("a folder");
    fs::write(station.state().join("units"), "a file, not a folder").expect("a file");
    let ended = station.unit(["run", "--json"]);
    assert_eq!(ended.json()["verdict"], "PASS");
    assert_eq!(ended.code(), 3, "the station could not keep what a later check needs");
    assert!(ended.said().contains("units"), "{ended:?}");
}

/// The path was broken in the middle at 80 columns.
#[test]
fn a_long_path_to_a_mistake_stays_in_one_piece() {
    let station = Station::new();
    let folder = "a-folder-with-a-long-name/and-another-one-below-it/and-a-third-one";
    fs::create_dir_all(station.path(folder)).expect("folders");
    let profile = format!("{folder}/espvault.toml");
    station.write(&profile, PROFILE.replacen("title = ", "titel = ", 1));
    let ended = station.goldline(["profile", "check", &profile]);
    assert_eq!(ended.code(), 2);
    assert!(ended.stderr.contains(&format!("{profile}:9:1: unknown key")), "{}", ended.stderr);
}
