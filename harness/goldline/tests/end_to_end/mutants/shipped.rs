//! Every shipped profile proves itself: of the bad units of its product none passes but those that it accepts, hardly
//! any is blamed for something else, and no good one is refused.
//!
//! The mutants that can be counted, all of them, and a few of each family: a new survivor fails here. The hundreds
//! that give a bound are for the command itself, and for the night.

use goldline::{
    profile::find,
    prove::{ACCEPTABLE_SHARE, Proof, firmware_mutants},
};

use super::{not_caught, proof_of, ran, whole_proof_of};
use crate::end_to_end::program::Station;

/// Right causes among the bad units that were blamed, at least.
const RIGHT_CAUSES: f64 = 0.95;

/// Every shipped profile has a test of its own.
macro_rules! shipped {
    ($($name:ident = $profile:literal;)+) => {
        $(#[test]
        fn $name() {
            proves_itself($profile, &proof_of($profile, None, &["*"]));
        })+

        const TESTED: &[&str] = &[$($profile),+];
    };
}

shipped! {
    espvault = "espvault";
    espvault_encrypted = "espvault-encrypted";
    espvault_hmac = "espvault-hmac";
    espvault_certificates = "espvault-certificates";
    zeroconf = "zeroconf";
    zeroconf_ca = "zeroconf-ca";
    zeroconf_ca_console = "zeroconf-ca-console";
    zeroconf_portal = "zeroconf-portal";
    safesignal = "safesignal";
    safesignal_certificates = "safesignal-certificates";
    ble_gateway = "ble-gateway";
    ble_gateway_portal = "ble-gateway-portal";
    ble_gateway_factory = "ble-gateway-factory";
}

#[test]
fn no_shipped_profile_is_left_out() {
    let listed = Station::new().goldline(["profile", "list"]).stdout;
    let names = listed.lines().map(|line| line.split_whitespace().next().expect("a name"));
    let missing: Vec<&str> = names.filter(|name| !TESTED.contains(name)).collect();
    assert!(missing.is_empty(), "nobody proves their tests: {missing:?}");
}

/// A line of a description that nobody thought about is changed in some way, and what that must lead to is a guess.
#[test]
fn every_line_of_a_shipped_description_has_a_rule() {
    for name in TESTED {
        let product = find(name, None).expect("a shipped profile");
        let all = firmware_mutants(&product).expect("its descriptions ship with it");
        assert!(all.unknown.is_empty(), "{name}: no rule says what follows: {:?}", all.unknown);
        assert!(!all.mutants.is_empty(), "{name}: nothing to change");
    }
}

#[test]
#[ignore = "nightly: hundreds of each kind"]
fn every_shipped_profile_proves_itself_at_length() {
    for name in TESTED {
        let proof = whole_proof_of(name);
        for kind in &proof.kinds {
            println!("{name} {}: {:?} {:?}", kind.kind, kind.drawn, kind.upper_bound);
        }
        proves_itself(name, &proof);
    }
}

fn proves_itself(profile: &str, proof: &Proof) {
    let all = proof.all_kinds();
    assert!(all.ran > 100, "{profile}: {} units are few", all.ran);
    let wrong = not_caught(proof).join("\n");
    assert_eq!(proof.escapes(), 0, "{profile}: of {} units\n{wrong}", ran(proof));
    assert!(proof.blamed.is_empty() && proof.good.refused.is_empty(), "{profile}\n{wrong}");
    assert!(proof.undecided.is_empty() && proof.impossible.is_empty(), "{profile}\n{wrong}");
    assert!(proof.accepted_in_vain.is_empty(), "{profile}: {:?}", proof.accepted_in_vain);
    let accepted = all.accepted as f64 / all.ran as f64;
    assert!(accepted <= ACCEPTABLE_SHARE, "{profile}: {accepted} of its mutants are accepted");
    let blamed = (all.caught - all.good + all.wrong_cause) as f64;
    let right = (all.caught - all.good) as f64 / blamed;
    assert!(right >= RIGHT_CAUSES, "{profile}: {right} of the causes are right\n{wrong}");
}
