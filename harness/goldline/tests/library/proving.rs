//! A campaign of bad units that somebody ends: what ran so far is reported.

use std::{sync::Arc, time::Instant};

use goldline::{
    clock::Clock,
    prove::{Campaign, ProofOutcome, catalogue_of, prove, subject_of},
    station::{Request, Specimens},
};
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_that_is_stopped_says_what_ran_so_far() {
    let request = Request { profile: Some("espvault".to_owned()), ..Request::default() };
    let specimens = Specimens::of(&request, Clock::system()).await.expect("a shipped profile");
    let only = vec!["identity.*".parse().expect("a pattern"), "wire.*".parse().expect("a pattern")];
    let cancel = CancellationToken::new();
    let catalogue = catalogue_of(&specimens, &cancel).await.expect("a good unit");
    let catalogue = catalogue.narrowed(only, "espvault").expect("it has such mutants");
    let campaign = Campaign {
        began: Instant::now(),
        budget: None,
        all: false,
        seed: 0,
        subject: subject_of(specimens.profile()),
    };
    // Families never end by themselves before 300 of each ran.
    let watch = |ran| {
        if ran == 2 {
            cancel.cancel();
        }
    };
    let proof = prove(Arc::new(specimens), &catalogue, &[], &campaign, watch, &cancel).await;
    let proof = proof.expect("good units pass");
    assert!(proof.stopped);
    assert_eq!(proof.outcome(), ProofOutcome::Stopped);
    let ran = proof.all_kinds().ran;
    assert!((1..300).contains(&ran), "{ran}");
    assert_eq!(proof.only, ["identity.*", "wire.*"]);
}
