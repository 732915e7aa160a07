//! The installer's test alert, and the operator who says whether it was seen.

use std::{io::Write, process::Stdio};

use rstest::rstest;

use super::program::{Ended, Station, check};

fn confirmed_with(answer: &str) -> Ended {
    let station = Station::new();
    let mut command = station.unit_command(["run", "safesignal", "--json", "--confirm-alert"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut program = command.spawn().expect("the program starts");
    let mut input = program.stdin.take().expect("a pipe");
    input.write_all(answer.as_bytes()).expect("it has not read yet");
    drop(input);
    Ended::from(program.wait_with_output().expect("it ends"))
}

#[test]
fn an_alert_that_the_operator_saw_is_confirmed() {
    let ended = confirmed_with("hm\ny\n");
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (0, &"PASS".into()), "{record:#}");
    let evidence = check(&record, "test_alert")["evidence"].to_string();
    assert!(evidence.contains("the operator saw the alert"), "{evidence}");
    assert!(ended.stderr.contains("was the alert on safesignal/"), "{}", ended.stderr);
}

#[rstest]
#[case::not_seen("n\n", 1, "FAIL", "alert.not_confirmed")]
#[case::nobody_there("", 4, "ABORTED", "run.aborted")]
fn an_alert_that_nobody_saw_does_not_pass(
    #[case] answer: &str,
    #[case] exit: i32,
    #[case] verdict: &str,
    #[case] code: &str,
) {
    let ended = confirmed_with(answer);
    let record = ended.json();
    assert_eq!((ended.code(), &record["verdict"]), (exit, &verdict.into()), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], code, "{record:#}");
}

#[test]
fn no_operator_is_asked_about_an_alert_that_is_never_sent() {
    let ended = Station::new().unit(["run", "espvault", "--confirm-alert"]);
    assert_eq!(ended.code(), 2);
    assert!(ended.said().contains("no test alert is sent for the profile espvault"));
}
