//! The parts of the QC cases by themselves: which cases there are, who runs the unit, what a failure
//! says. `qc.rs` has no tests of its own, because its cases are the units'.

#[path = "../qc/mod.rs"]
mod qc;

use std::{
    fs::{self, File},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};

use goldline::{
    profile::Listed,
    record::{Record, Verdict},
};
use libtest_mimic::{Arguments, Conclusion, Trial};
use rstest::rstest;
use tempfile::TempDir;

use qc::{
    failure, repository,
    session::{Ended, Session, SessionError},
    settings::Settings,
    trials,
    unit_run::UnitRun,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

mod cases {
    use super::*;

    #[test]
    fn each_shipped_profile_has_a_case_for_each_check() {
        let names = names(&[]);
        let planned = |profile: &str| -> Vec<String> {
            let profile = goldline::profile::find(profile, None).expect("it ships");
            profile
                .checks
                .iter()
                .map(|check| format!("{}::{}", profile.name, check.id.name()))
                .collect()
        };
        let shipped = goldline::profile::list(None).expect("a list");
        let planned: Vec<String> =
            shipped.iter().flat_map(|listed| planned(&listed.name)).collect();
        assert_eq!(names, planned);
        let checks = ["flash_integrity", "nvs_readback", "wifi_join", "mqtt_connect"];
        for check in checks.map(|check| format!("espvault::{check}")) {
            assert!(names.contains(&check), "{check} in {names:?}");
        }
    }

    #[test]
    fn a_profile_that_is_dropped_into_the_folder_is_listed() {
        let folder = folder_with("newcomer", |text| text);
        let own = folder.path().display().to_string();
        let list = listed(trials(variables(&[("GOLDLINE_PROFILES", &own)])));
        assert!(list.contains("newcomer::nvs_readback: test\n"), "{list}");
        assert!(list.contains("espvault::nvs_readback: test\n"), "{list}");
    }

    #[test]
    fn a_profile_that_is_not_valid_is_one_failing_case() {
        let folder = folder_with("broken", |text| text.replace("[chip]", "[chips]"));
        let own = folder.path().display().to_string();
        let (conclusion, log) = run(&[("GOLDLINE_PROFILES", &own)], "broken::");
        assert_eq!(conclusion.num_failed, 1);
        assert!(log.contains("broken::profile") && log.contains("unknown"), "{log}");
        assert!(log.contains("broken.toml:"), "{log}");
    }

    #[test]
    fn real_hardware_needs_its_profile_named() {
        let (conclusion, log) = run(&[("GOLDLINE_DEVICE", "/dev/ttyUSB0")], "");
        assert_eq!((conclusion.num_failed, conclusion.num_passed), (1, 0));
        assert!(log.contains("with GOLDLINE_PROFILE (there are "), "{log}");
    }

    #[rstest]
    #[case("/dev/ttyUSB0")]
    #[case("simulator:")]
    fn other_profiles_than_the_named_one_are_skipped_by_name(#[case] device: &str) {
        let folder = folder_with("newcomer", |text| text);
        let own = folder.path().display().to_string();
        let chosen = variables(&[
            ("GOLDLINE_DEVICE", device),
            ("GOLDLINE_PROFILE", "newcomer"),
            ("GOLDLINE_PROFILES", &own),
        ]);
        for trial in trials(chosen) {
            let skipped = trial.has_ignored_flag();
            assert_eq!(skipped, !trial.name().starts_with("newcomer::"), "{}", trial.name());
        }
    }

    #[test]
    fn a_skipped_profile_is_not_run_by_force() {
        let folder = folder_with("newcomer", |text| text);
        let own = folder.path().display().to_string();
        let chosen = [("GOLDLINE_PROFILE", "newcomer"), ("GOLDLINE_PROFILES", own.as_str())];
        let trials = trials(variables(&chosen));
        let skipped = trials.iter().filter(|trial| trial.has_ignored_flag()).count();
        let only_ignored = Arguments { ignored: true, ..Arguments::default() };
        let (conclusion, log) = run_trials(trials, only_ignored);
        assert_eq!((conclusion.num_failed, conclusion.num_passed), (skipped as u64, 0));
        assert!(log.contains("the unit is not run as espvault"), "{log}");
    }

    #[rstest]
    #[case("GOLDLINE_PROFILE", "espvalt", "expected one of ")]
    #[case("GOLDLINE_DEVICE", "usb0", "unknown device")]
    #[case("GOLDLINE_PROFILES", "no/such/folder", "cannot be listed")]
    fn a_wrong_variable_fails_and_says_why(
        #[case] name: &str,
        #[case] value: &str,
        #[case] why: &str,
    ) {
        let (conclusion, log) = run(&[(name, value)], "");
        assert_eq!((conclusion.num_failed, conclusion.num_passed), (1, 0));
        assert!(log.contains(why), "{log}");
    }

    #[test]
    fn the_processes_and_attempts_of_one_nextest_run_share_a_key() {
        let first = [("NEXTEST_RUN_ID", "a"), ("NEXTEST_ATTEMPT", "1")];
        let retried = [("NEXTEST_RUN_ID", "a"), ("NEXTEST_ATTEMPT", "2")];
        assert_eq!(run_key(&first), run_key(&retried));
        let round = |number| [("NEXTEST_RUN_ID", "a"), ("NEXTEST_STRESS_CURRENT", number)];
        assert_ne!(run_key(&round("0")), run_key(&round("1")));
        assert_ne!(run_key(&first), run_key(&[("NEXTEST_RUN_ID", "b")]));
        let elsewhere = [("NEXTEST_RUN_ID", "a"), ("GOLDLINE_DEVICE", "simulator:?pace=true")];
        assert_ne!(run_key(&first), run_key(&elsewhere));
        assert_ne!(run_key(&[]), run_key(&[]), "without nextest a process shares with nobody");
    }
}

mod session {
    use super::*;

    #[test]
    fn cases_that_race_start_one_run() {
        let folder = tempfile::tempdir().expect("a folder");
        let (runs, line) = (AtomicUsize::new(0), Barrier::new(8));
        let case = || {
            // A file of its own for each, as in processes: locks hold between open files.
            let session = Session::open_in(folder.path(), "espvault", "one").expect("opened");
            line.wait();
            session.ended(|_| ended(&format!("run {}", runs.fetch_add(1, Ordering::SeqCst))))
        };
        let results: Vec<_> = thread::scope(|scope| {
            let cases: Vec<_> = (0..8).map(|_| scope.spawn(case)).collect();
            cases.into_iter().map(|case| case.join().expect("no panic")).collect()
        });
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        for result in results {
            assert_eq!(reason(&result.expect("a result")), "run 0");
        }
    }

    #[test]
    fn other_profiles_and_keys_have_runs_of_their_own() {
        let folder = tempfile::tempdir().expect("a folder");
        for (profile, key) in [("espvault", "one"), ("espvault", "two"), ("other", "one")] {
            let session = Session::open_in(folder.path(), profile, key).expect("opened");
            let made = session.ended(|_| ended(&format!("{profile} {key}"))).expect("run");
            assert_eq!(reason(&made), format!("{profile} {key}"));
        }
    }

    #[test]
    fn a_run_whose_starter_died_is_an_error_and_not_repeated() {
        let folder = tempfile::tempdir().expect("a folder");
        let session = Session::open_in(folder.path(), "espvault", "one").expect("opened");
        let died = catch_unwind(AssertUnwindSafe(|| session.ended(|_| panic!("in mid-run"))));
        assert!(died.is_err());
        for _ in 0..2 {
            let later = session.ended(|_| unreachable!("the unit is not run again"));
            let error = later.expect_err("no result");
            assert!(matches!(error, SessionError::Abandoned { .. }), "{error:?}");
            assert!(error.to_string().starts_with("ERROR: the run that process "), "{error}");
        }
    }

    #[test]
    fn sessions_of_another_day_are_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let session = |key| Session::open_in(folder.path(), "espvault", key).expect("opened");
        let (old, fresh, new) = (session("old"), session("fresh"), session("new"));
        let old_folder = old.evidence().parent().expect("a session's").to_owned();
        let touched = SystemTime::now() - DAY - DAY;
        File::open(&old_folder).and_then(|file| file.set_modified(touched)).expect("aged");
        new.ended(|_| ended("new")).expect("run");
        assert!(!old_folder.exists());
        assert!(fresh.evidence().exists() && new.evidence().exists());
    }

    fn ended(reason: &str) -> Ended {
        Ended::NoRecord { reason: reason.to_owned() }
    }
}

mod failures {
    use super::*;

    #[test]
    fn a_fault_shows_diagnosis_evidence_and_the_serial_log() {
        let evidence = tempfile::tempdir().expect("a folder");
        let record = record(&run_with(&["--fault", "firmware.wifi_password"]), evidence.path());
        let text = failure_text(&record, "wifi_join", evidence.path()).expect("a failure");
        for part in [
            "wifi_join: FAIL\n",
            "FAIL: espvault 24:0a:c4:00:01:10 on simulator:",
            "why  the network ProductionWiFi refuses the unit's password (reason 15) (wifi.wrong_password)",
            "do   compare the WiFi password key",
            "evidence:\n  witness: the bench joined",
            "serial log, last 30 of ",
            "Disconnected, reason: 15",
        ] {
            assert!(text.contains(part), "{part} in:\n{text}");
        }
        let log = fs::read_to_string(evidence.path().join("console.log")).expect("a serial log");
        let last = log.lines().last().expect("not empty");
        assert!(text.trim_end().ends_with(last), "{text}");
        assert!(!text.contains("SecurePassword123"), "{text}");
        assert_eq!(failure_text(&record, "nvs_readback", evidence.path()), None);
    }

    #[test]
    fn a_measurement_out_of_limits_shows_both() {
        let folder = folder_with("picky", |text| text.replace("lower = -75", "lower = -20"));
        let evidence = tempfile::tempdir().expect("a folder");
        let picky = UnitRun { profile: folder.path().join("picky.toml"), ..run_with(&[]) };
        let record = record(&picky, evidence.path());
        let text = failure_text(&record, "wifi_join", evidence.path()).expect("a failure");
        assert!(text.contains("rssi             -45 dBm (limits -20 to -10): FAIL"), "{text}");
        assert!(text.contains("(wifi.out_of_limits)"), "{text}");
    }

    #[test]
    fn a_check_that_did_not_run_tells_why_the_run_ended() {
        let evidence = tempfile::tempdir().expect("a folder");
        let record = record(&run_with(&["--fault", "flash.nvs_key_missing"]), evidence.path());
        let text = failure_text(&record, "mqtt_connect", evidence.path()).expect("a failure");
        assert!(text.starts_with("mqtt_connect: not run\n"), "{text}");
        assert!(text.contains("(nvs.key_missing)"), "{text}");
        assert!(text.contains("measurements:\n  none was taken"), "{text}");
        assert!(text.contains("serial log: empty"), "{text}");
    }

    #[test]
    fn no_case_is_good_when_no_check_explains_a_bad_verdict() {
        let evidence = tempfile::tempdir().expect("a folder");
        let mut record = record(&run_with(&[]), evidence.path());
        assert_eq!(failure_text(&record, "wifi_join", evidence.path()), None);
        record.verdict = Some(Verdict::Fail);
        let text = failure_text(&record, "wifi_join", evidence.path()).expect("a failure");
        assert!(text.starts_with("wifi_join: pass, but the unit is not\n"), "{text}");
    }

    #[test]
    fn a_check_that_is_not_in_the_record_fails() {
        let evidence = tempfile::tempdir().expect("a folder");
        let mut record = record(&run_with(&[]), evidence.path());
        record.checks.retain(|check| check.id != "wifi_join");
        let text = failure_text(&record, "wifi_join", evidence.path()).expect("a failure");
        assert!(text.starts_with("wifi_join: not in the record\n"), "{text}");
    }

    #[test]
    fn a_run_without_a_record_shows_what_the_program_said() {
        let evidence = tempfile::tempdir().expect("a folder");
        let ended = run_with(&["--fault", "no.such_fault"]).start(evidence.path());
        let reason = reason(&ended);
        assert!(reason.starts_with("ERROR: goldline run: it gave no record (exit"), "{reason}");
        assert!(reason.contains("unknown fault \"no.such_fault\""), "{reason}");
    }

    #[test]
    fn a_run_beyond_its_deadline_is_ended() {
        let evidence = tempfile::tempdir().expect("a folder");
        let hasty = UnitRun { deadline: Duration::ZERO, ..run_with(&[]) };
        let ended = hasty.start(evidence.path());
        assert!(reason(&ended).contains("it was ended after 0 s without a record"), "{ended:?}");
    }

    fn failure_text(record: &Record, check: &str, evidence: &Path) -> Option<String> {
        failure::of_check(record, check, evidence.to_owned())
    }

    fn record(run: &UnitRun, evidence: &Path) -> Record {
        match run.start(evidence) {
            Ended::Record(record) => *record,
            Ended::NoRecord { reason } => panic!("{reason}"),
        }
    }

    fn run_with(more: &[&str]) -> UnitRun {
        let settings = settings(&[]);
        let espvault = Listed { name: "espvault".to_owned(), path: None };
        let more = more.iter().map(|&argument| argument.to_owned()).collect();
        UnitRun { more, ..UnitRun::new(&settings, &espvault) }
    }
}

fn reason(ended: &Ended) -> &str {
    match ended {
        Ended::NoRecord { reason } => reason,
        Ended::Record(record) => panic!("a record: {record:?}"),
    }
}

/// A folder with one profile: espvault's by another name, and changed.
fn folder_with(name: &str, change: impl Fn(String) -> String) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let espvault = repository().join("fixtures/profiles/espvault.toml");
    let text = fs::read_to_string(espvault).expect("a shipped profile");
    let text = change(text.replace("name = \"espvault\"", &format!("name = \"{name}\"")));
    fs::write(folder.path().join(name).with_extension("toml"), text).expect("written");
    folder
}

fn variables(set: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> + use<> {
    let set: Vec<(String, String)> =
        set.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    move |name| set.iter().find(|(variable, _)| variable == name).map(|(_, value)| value.clone())
}

fn settings(set: &[(&str, &str)]) -> Settings {
    Settings::new(&repository(), variables(set)).expect("good settings")
}

fn run_key(set: &[(&str, &str)]) -> String {
    settings(set).run_key
}

fn names(set: &[(&str, &str)]) -> Vec<String> {
    trials(variables(set)).iter().map(|trial| trial.name().to_owned()).collect()
}

/// Runs the cases whose names contain `filter`; what is printed.
fn run(set: &[(&str, &str)], filter: &str) -> (Conclusion, String) {
    let arguments = Arguments { filter: Some(filter.to_owned()), ..Arguments::default() };
    run_trials(trials(variables(set)), arguments)
}

/// What nextest reads to know the cases.
fn listed(trials: Vec<Trial>) -> String {
    run_trials(trials, Arguments { list: true, ..Arguments::default() }).1
}

fn run_trials(trials: Vec<Trial>, arguments: Arguments) -> (Conclusion, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let log: PathBuf = folder.path().join("log");
    let arguments = Arguments { logfile: Some(log.display().to_string()), ..arguments };
    let conclusion = libtest_mimic::run(&arguments, trials);
    (conclusion, fs::read_to_string(log).expect("a log"))
}
