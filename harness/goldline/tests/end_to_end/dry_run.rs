//! `--dry-run` prints the plan and touches nothing.

use std::fs;

use rstest::rstest;

use super::program::Station;

#[rstest]
#[case::run("run", &["erase", "write", "boot", "mqtt"])]
#[case::provision("provision", &["erase", "write"])]
#[case::check("check", &["boot", "mqtt"])]
fn the_plan_is_printed_and_nothing_is_touched(#[case] command: &str, #[case] named: &[&str]) {
    let station = Station::new();
    let device = format!("simulator:?flash-file={}", station.path("unit.flash").display());
    let ended =
        station.unit([command, "--dry-run", "--lot", "A", "--out", "report", "--device", &device]);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
    let plan = ended.stdout.to_lowercase();
    for word in named {
        assert!(plan.contains(word), "no {word} in {plan}");
    }
    let left: Vec<_> = fs::read_dir(station.path("")).expect("its folder").collect();
    assert!(left.is_empty(), "it left {left:?}");
}

#[test]
fn the_plan_of_a_check_writes_nothing() {
    let plan = Station::new().unit(["check", "--dry-run"]).stdout.to_lowercase();
    assert!(!plan.contains(". erase") && !plan.contains(". write"), "{plan}");
}

#[test]
fn the_plan_holds_names_and_no_secret() {
    let station = Station::new();
    let secret = station.write("secret", "MarkerOfAPassphrase");
    let setting = format!("wifi_password=@{}", secret.display());
    let plan = station.unit(["run", "--dry-run", "--set", &setting]).stdout;
    for secret in ["MarkerOfAPassphrase", "SecurePassword123", "DeviceSecretKey"] {
        assert!(!plan.contains(secret), "{plan}");
    }
    assert!(plan.contains("{wifi_password}") || plan.contains("wifi_password"), "{plan}");
}
