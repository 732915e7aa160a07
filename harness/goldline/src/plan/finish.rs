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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::{Purpose, order::Steps},
        profile::{EndpointPolicy, list},
    };

    /// The shipped products whose NVS the bench writes, each tested with other values.
    fn products() -> Vec<Profile> {
        let listed = list(None).expect("the built-in ones need no folder");
        let all = listed.iter().map(|listed| listed.load().expect("a shipped profile"));
        let written = all.filter(|profile| profile.method.flashes_nvs());
        written
            .filter_map(|mut profile| {
                profile.mqtt.as_mut()?.policy = EndpointPolicy::TestThenFinal;
                profile.console = None;
                Some(profile)
            })
            .collect()
    }

    fn all_steps(profile: &Profile) -> Vec<Step> {
        super::super::method::steps(profile, Scope::Run)
    }

    #[test]
    fn every_product_whose_nvs_the_bench_writes_can_be_finished() {
        for profile in products() {
            for scope in [Scope::Run, Scope::Provision, Scope::Check] {
                let steps = super::super::method::steps(&profile, scope);
                assert_eq!(Steps::new(steps.clone()).err(), None, "{} {scope:?}", profile.name);
                let boots = steps.iter().filter(|step| matches!(step, Step::Boot(_))).count();
                assert_eq!(boots, usize::from(scope == Scope::Run), "{} {scope:?}", profile.name);
                let held = steps.iter().any(|step| matches!(step, Step::Hold));
                assert!(held, "{} {scope:?}", profile.name);
            }
        }
        assert!(products().len() > 3);
    }

    /// What a firmware may have written, and the values of the test, to the last byte of each.
    #[test]
    fn all_that_the_test_can_have_written_is_erased_and_no_more() {
        let names = |profile: &Profile| -> Vec<String> {
            touched(profile, Scope::Run).into_iter().map(|span| span.name).collect()
        };
        for profile in products() {
            let names = names(&profile);
            assert!(names.contains(&profile.nvs.partition), "{}: {names:?}", profile.name);
            let data = profile.flash.partitions().iter().filter(|it| !it.is_app());
            let left = Coverage::of(&profile, Scope::Run, Moment::AfterBoot);
            for partition in data {
                let span = left.spans().iter().find(|span| span.name == partition.name);
                let is_fixed = matches!(span.expect("a span").expects, Expects::Planned(_));
                assert_eq!(names.contains(&partition.name), !is_fixed, "{}", partition.name);
            }
        }
        let espvault = products().into_iter().find(|profile| profile.name == "espvault");
        let names = names(&espvault.expect("it ships"));
        assert_eq!(names, ["nvs", "phy_init", "factory", "otadata", "storage"]);
    }

    /// Wherever one of these steps is left out or put before another, the order is refused.
    #[test]
    fn nothing_of_the_final_image_is_written_before_the_test_was_judged_and_erased() {
        for profile in products() {
            let steps = all_steps(&profile);
            let at = |wanted: &str| {
                steps.iter().position(|step| step.name() == wanted).expect("it is there")
            };
            for left_out in ["judge_test", "erase_tested"] {
                let mut steps = steps.clone();
                steps.remove(at(left_out));
                assert!(Steps::new(steps).is_err(), "{} without {left_out}", profile.name);
            }
            let mut early = steps.clone();
            let step = early.remove(at("write_final"));
            early.insert(at("judge_test"), step);
            assert!(Steps::new(early).is_err(), "{}", profile.name);
            // One that ran again is none that was judged.
            let mut started = steps.clone();
            started.insert(at("erase_tested"), Step::Boot(Purpose::Trial));
            assert!(Steps::new(started).is_err(), "{}", profile.name);
        }
    }
}
