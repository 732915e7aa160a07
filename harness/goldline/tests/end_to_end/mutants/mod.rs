//! What `goldline prove` makes of a product: units that are bad in one thing, by the library and in this process.
//!
//! `kinds` runs some of each kind; `checks` takes a check out of a profile, and sees what passes then; `shipped` runs
//! them all for each shipped profile.

mod checks;
mod kinds;
mod shipped;

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Instant};

use goldline::{
    clock::Clock,
    prove::{Campaign, Catalogue, Mutant, Proof, catalogue_of, prove, subject_of},
    station::{Request, Specimens},
};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// Of what cannot be counted, so many are run.
const OF_FAMILY: u64 = 3;

/// Runs those mutants of a product whose ids these are, or begin with what stands before a `*`.
///
/// # Panics
/// When one of them is no mutant of the product.
fn proof_of(profile: &str, folder: Option<&Path>, wanted: &[&str]) -> Proof {
    proof_on("simulator:", profile, folder, wanted)
}

/// The same of units that come with more than others do.
fn proof_on(device: &str, profile: &str, folder: Option<&Path>, wanted: &[&str]) -> Proof {
    let request = Request {
        profile: Some(profile.to_owned()),
        profiles: folder.map(Path::to_owned),
        devices: vec![device.to_owned()],
        ..Request::default()
    };
    proof_by(&request, |catalogue| some_of(&catalogue, wanted))
}

/// All mutants of a shipped profile's product, and as many of each family as give a bound.
fn whole_proof_of(profile: &str) -> Proof {
    let request = Request { profile: Some(profile.to_owned()), ..Request::default() };
    proof_by(&request, |catalogue| catalogue)
}

fn proof_by(request: &Request, choose: impl FnOnce(Catalogue) -> Catalogue) -> Proof {
    let runtime = Runtime::new().expect("a runtime");
    let proof = runtime.block_on(async {
        let specimens = Specimens::of(request, Clock::system()).await.expect("specimens");
        let cancel = CancellationToken::new();
        let catalogue = catalogue_of(&specimens, &cancel).await.expect("a good unit passes");
        let catalogue = choose(catalogue);
        let campaign = Campaign {
            began: Instant::now(),
            budget: None,
            all: true,
            seed: 0,
            subject: subject_of(specimens.profile()),
        };
        let accepted = specimens.profile().accepted.clone();
        prove(Arc::new(specimens), &catalogue, &accepted, &campaign, |_| {}, &cancel).await
    });
    runtime.shutdown_background();
    proof.expect("good units pass")
}

fn some_of(catalogue: &Catalogue, wanted: &[&str]) -> Catalogue {
    let mut some = Catalogue::default();
    let mut found = BTreeSet::new();
    for (_, population) in catalogue.populations() {
        let families = population.families.iter();
        let drawn = families.flat_map(|family| (0..OF_FAMILY).map(|seed| family.member(seed)));
        let all: Vec<Mutant> = population.counted.iter().cloned().chain(drawn).collect();
        some.count(all.into_iter().filter(|mutant| {
            let is = |wanted: &&&str| match wanted.strip_suffix('*') {
                Some(begin) => mutant.id.starts_with(begin),
                None => mutant.id == **wanted,
            };
            let matching: Vec<&str> = wanted.iter().filter(is).copied().collect();
            found.extend(matching.iter().copied());
            !matching.is_empty()
        }));
    }
    let missing: Vec<&&str> = wanted.iter().filter(|wanted| !found.contains(**wanted)).collect();
    assert!(missing.is_empty(), "the product has no such mutants: {missing:?}");
    some
}

/// What became of the mutants that were not caught, one a line.
fn not_caught(proof: &Proof) -> Vec<String> {
    let survivors = proof.survivors.iter().map(|survivor| &survivor.case);
    let cases = survivors.chain(&proof.wrong_causes).chain(&proof.undecided);
    let cases = cases.chain(&proof.blamed).chain(&proof.impossible).chain(&proof.good.refused);
    cases.map(|case| format!("{case:?}")).collect()
}

fn ran(proof: &Proof) -> usize {
    proof.kinds.iter().map(|kind| kind.counted.ran + kind.drawn.ran).sum()
}
