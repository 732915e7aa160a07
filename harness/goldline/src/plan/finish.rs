//! The steps that give a tested unit what it is shipped with: the final image, which no firmware runs before it leaves.
//!
//! Whatever the test can have written is erased first, so that no bench value is left in an erased entry of NVS or
//! behind the end of an image. Must not know the bytes of an image.

use super::{
    Coverage, Expects, Moment, Region, Scope, Span, Step, qc,
    regions::{immutable_regions, nvs_region},
};
use crate::profile::Profile;

/// From a unit that ran its test to one that is ready to be shipped.
pub(super) fn steps(profile: &Profile, scope: Scope) -> Vec<Step> {
    let touched = touched(profile, scope);
    let regions: Vec<Region> = immutable_regions(profile)
        .into_iter()
        .filter(|region| touched.iter().any(|span| span.name == region.name))
        .chain([nvs_region(profile)])
        .collect();
    let mut steps = vec![Step::JudgeTest, Step::EraseTested(touched)];
    steps.extend(regions.into_iter().map(Step::WriteFinal));
    steps.push(qc::collect(profile, scope, Moment::Final));
    steps.push(Step::Hold);
    steps
}

/// What the bench gave for the test, and what a firmware that ran may have written. All the rest was digested after it
/// ran, and is digested again at last.
fn touched(profile: &Profile, scope: Scope) -> Vec<Span> {
    let left = Coverage::of(profile, scope, Moment::AfterBoot);
    let wanted = Coverage::of(profile, scope, Moment::Final);
    let pairs = left.spans().iter().zip(wanted.spans());
    let is_touched = |(left, wanted): &(&Span, &Span)| {
        wanted.expects == Expects::OwnNvs || left.expects != wanted.expects
    };
    pairs.filter(is_touched).map(|(_, wanted)| wanted.clone()).collect()
}
