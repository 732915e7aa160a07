//! Tests of the leases.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
};

use rstest::rstest;

use super::*;

const MAC: Mac = Mac([0x24, 0x0A, 0xC4, 0, 1, 0x10]);
const OTHER: Mac = Mac([0x24, 0x0A, 0xC4, 0, 1, 0x11]);

fn state() -> (tempfile::TempDir, StateDirectory) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let state = StateDirectory::open(&folder.path().join("state")).expect("it opens");
    (folder, state)
}

fn holder() -> Holder {
    let at = OffsetDateTime::UNIX_EPOCH;
    Holder { run_id: Uuid::nil(), mac: MAC, lot: Some("A".to_owned()), at }
}

fn lease(state: &StateDirectory) -> u32 {
    state.lease("espvault", "number", &holder(), &BTreeMap::new()).expect("leased")
}

fn settle(state: &StateDirectory, number: u32, outcome: LeaseOutcome) -> Result<(), LeaseError> {
    let settlement = Settlement { outcome, run_id: None, at: OffsetDateTime::UNIX_EPOCH };
    state.settle("espvault", "number", number, &settlement)
}

fn series(state: &StateDirectory) -> Series {
    let mut all = state.leases("espvault").expect("readable");
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn file(state: &StateDirectory) -> PathBuf {
    state.root.join("leases/espvault.number.jsonl")
}

#[test]
fn no_number_is_given_twice_to_stations_that_run_at_once() {
    let (_folder, first) = state();
    let take = || {
        let state = StateDirectory::open(&first.root).expect("it opens");
        (0..10).map(|_| lease(&state)).collect::<Vec<_>>()
    };
    let numbers: Vec<u32> = std::thread::scope(|scope| {
        let stations: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
        stations.into_iter().flat_map(|station| station.join().expect("it ends")).collect()
    });
    let distinct: BTreeSet<u32> = numbers.iter().copied().collect();
    assert_eq!(distinct, (1..=40).collect());
}

#[test]
fn every_number_is_accounted_for() {
    let (_folder, state) = state();
    (1..=4).for_each(|number| assert_eq!(lease(&state), number));
    settle(&state, 1, LeaseOutcome::Used { mac: MAC }).expect("noted");
    settle(&state, 2, LeaseOutcome::Aborted { mac: None }).expect("noted");
    settle(&state, 1, LeaseOutcome::Scrapped { reason: "bent pin".to_owned() }).expect("noted");
    settle(&state, 3, LeaseOutcome::Used { mac: MAC }).expect("noted");
    let series = series(&state);
    let words: Vec<String> = series.leases.values().map(|lease| lease.state.to_string()).collect();
    let used = format!("used by {MAC}");
    assert_eq!(words, ["scrapped (bent pin)", "aborted", &used, &format!("leased by {MAC}")]);
    assert_eq!(series.leases[&1].state.mac(), Some(MAC), "the scrapped unit is still known");
    assert_eq!(series.gaps().map(|lease| lease.number).collect::<Vec<_>>(), [1, 2, 4]);
    assert_eq!(series.next, Some(5));
    assert_eq!(series.leases[&4].lot.as_deref(), Some("A"));
}

#[rstest]
#[case::another_unit(LeaseOutcome::Used { mac: MAC }, LeaseOutcome::Used { mac: OTHER })]
#[case::a_used_one_aborts(LeaseOutcome::Used { mac: MAC }, LeaseOutcome::Aborted { mac: Some(OTHER) })]
#[case::scrap_is_final(LeaseOutcome::Scrapped { reason: "x".to_owned() }, LeaseOutcome::Used { mac: MAC })]
#[case::an_aborted_units_number(LeaseOutcome::Aborted { mac: Some(MAC) }, LeaseOutcome::Used { mac: OTHER })]
fn a_number_never_changes_its_unit(#[case] first: LeaseOutcome, #[case] second: LeaseOutcome) {
    let (_folder, state) = state();
    lease(&state);
    settle(&state, 1, first.clone()).expect("noted");
    settle(&state, 1, first).expect("said twice, noted once");
    let before = fs::read(file(&state)).expect("the series");
    let refused = settle(&state, 1, second);
    assert!(matches!(refused, Err(LeaseError::Settled { number: 1, .. })), "{refused:?}");
    assert_eq!(fs::read(file(&state)).expect("the series"), before);
}

#[test]
fn a_unit_that_is_given_a_later_number_leaves_a_gap() {
    let (_folder, state) = state();
    for number in [1, 2] {
        lease(&state);
        settle(&state, number, LeaseOutcome::Used { mac: MAC }).expect("noted");
    }
    let told = |state| -> Vec<String> {
        series(state).leases.values().map(|lease| lease.state.to_string()).collect()
    };
    assert_eq!(told(&state), ["replaced by 2 in 24:0a:c4:00:01:10", "used by 24:0a:c4:00:01:10"]);
    assert_eq!(series(&state).gaps().map(|lease| lease.number).collect::<Vec<_>>(), [1]);
    // And back: the unit holds one number at a time.
    settle(&state, 1, LeaseOutcome::Used { mac: MAC }).expect("noted");
    assert_eq!(told(&state), ["used by 24:0a:c4:00:01:10", "replaced by 1 in 24:0a:c4:00:01:10"]);
    let refused = settle(&state, 2, LeaseOutcome::Used { mac: OTHER });
    assert!(matches!(refused, Err(LeaseError::Settled { number: 2, .. })), "{refused:?}");
}

#[test]
fn a_unit_that_aborted_may_be_finished_with_its_number() {
    let (_folder, state) = state();
    lease(&state);
    settle(&state, 1, LeaseOutcome::Aborted { mac: Some(MAC) }).expect("noted");
    settle(&state, 1, LeaseOutcome::Used { mac: MAC }).expect("noted");
    assert_eq!(series(&state).gaps().count(), 0);
}

#[test]
fn a_number_that_nobody_gave_has_no_fate() {
    let (_folder, state) = state();
    lease(&state);
    let refused = settle(&state, 2, LeaseOutcome::Aborted { mac: None });
    assert!(matches!(refused, Err(LeaseError::NeverGiven { next: 2, .. })), "{refused:?}");
}

#[test]
fn a_lease_that_was_torn_by_a_loss_of_power_was_never_given() {
    let (_folder, state) = state();
    lease(&state);
    let mut torn = fs::OpenOptions::new().append(true).open(file(&state)).expect("the series");
    torn.write_all(b"{\"number\":2,\"event\":\"lea").expect("torn");
    assert_eq!(series(&state).leases.len(), 1);
    assert_eq!(lease(&state), 2);
    assert_eq!(series(&state).leases.len(), 2);
}

#[test]
fn a_damaged_account_gives_no_number() {
    let (_folder, state) = state();
    lease(&state);
    for copy in [file(&state), state.root.join("copies/leases/espvault.number.jsonl")] {
        fs::write(copy, "{\"number\":1}\n").expect("damaged");
    }
    let refused = state.lease("espvault", "number", &holder(), &BTreeMap::new());
    assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{refused:?}");
}

#[test]
fn a_counter_without_accounts_is_carried_on() {
    let (_folder, state) = state();
    make_private_folder(&state.root.join("leases")).expect("made");
    fs::write(state.root.join("leases/espvault.number"), "41").expect("written");
    assert_eq!(series(&state).next, Some(41));
    assert_eq!((lease(&state), lease(&state)), (41, 42));
    assert_eq!(series(&state).accounted_from, 41);
}

/// A re-test is no new unit; what was written off or replaced is not taken up again.
#[test]
fn a_unit_has_first_call_on_its_number() {
    let (_folder, state) = state();
    let own = |mac| state.number_of("espvault", "number", mac).expect("readable");
    assert_eq!(own(MAC), None);
    assert_eq!(lease(&state), 1);
    assert_eq!((own(MAC), own(OTHER)), (Some(1), None), "its run died without a word");
    settle(&state, 1, LeaseOutcome::Aborted { mac: Some(MAC) }).expect("noted");
    assert_eq!(own(MAC), Some(1));
    settle(&state, 1, LeaseOutcome::Used { mac: MAC }).expect("noted");
    assert_eq!(own(MAC), Some(1));
    settle(&state, 1, LeaseOutcome::Aborted { mac: Some(MAC) }).expect("it keeps it");
    assert_eq!(series(&state).leases[&1].state, LeaseState::Used { mac: MAC });
    settle(&state, 1, LeaseOutcome::Scrapped { reason: "x".to_owned() }).expect("noted");
    assert_eq!(own(MAC), None);
}

#[test]
fn a_number_that_a_unit_has_from_elsewhere_is_taken_up_and_not_given() {
    let (_folder, state) = state();
    let held = BTreeMap::from([(1, OTHER), (2, OTHER), (4, OTHER)]);
    assert_eq!(state.lease("espvault", "number", &holder(), &held).expect("leased"), 3);
    assert_eq!(state.lease("espvault", "number", &holder(), &held).expect("leased"), 5);
    assert_eq!(series(&state).leases[&4].state, LeaseState::Used { mac: OTHER });
    assert_eq!(series(&state).next, Some(6));
}
