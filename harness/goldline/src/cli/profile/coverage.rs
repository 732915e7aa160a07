//! What every byte of a product's flash must be, for people.

use std::sync::Arc;

use super::{heading, line, size};
use crate::{
    check::FRAMEWORKS,
    plan::{Content, Coverage, Expects, Moment, Plan, Scope, Span},
    profile::Profile,
};

/// Each span with its expectation before any firmware ran and after it, where that is another.
pub(super) fn explain(text: &mut String, profile: &Profile) {
    let plan = Plan::new(Arc::new(profile.clone()), Scope::Run);
    let [before, after] = [Moment::BeforeBoot, Moment::AfterBoot].map(|at| plan.coverage(at));
    heading(text, "What every byte of the flash must be, before a firmware ran and afterwards");
    for span in before.spans() {
        let now = words(profile, span.expects);
        let later = expected_later(&after, span).map(|expects| words(profile, expects));
        let later = later.filter(|later| *later != now);
        let later = later.map_or_else(String::new, |later| format!("; afterwards {later}"));
        let (offset, name, size) = (span.offset, &span.name, size(span.size));
        line(text, format_args!("  {offset:#08x}  {name:16} {size:>7}  {now}{later}"));
    }
    line(
        text,
        format_args!("  A check of a unit that may have run expects what comes afterwards."),
    );
}

fn expected_later(after: &Coverage, span: &Span) -> Option<Expects> {
    let mut spans = after.spans().iter();
    spans.find(|later| later.offset == span.offset).map(|later| later.expects)
}

fn words(profile: &Profile, expects: Expects) -> String {
    match expects {
        Expects::Planned(content) => {
            let what = match content {
                Content::Bootloader => "the boot loader",
                Content::PartitionTable => "the partition table",
                Content::App | Content::FactoryApp => "the application",
                Content::Nvs => "the unit's values",
                Content::NvsKeys => "the keys of the unit's NVS",
                Content::Other(_) => "what the build has for it",
            };
            format!("{what}, then erased")
        }
        Expects::Erased => "erased".to_owned(),
        Expects::OwnNvs => "the unit's values, read back and judged key by key".to_owned(),
        Expects::FirmwaresNvs => {
            let mut names = FRAMEWORKS.to_vec();
            let own = profile.nvs.foreign_namespaces.iter().map(String::as_str);
            names.extend(own.filter(|name| !FRAMEWORKS.contains(name)));
            format!("the firmware's, in no other namespace than {}", names.join(", "))
        }
        Expects::OtaData => "the firmware's, and it names the planned slot".to_owned(),
        Expects::UpdatedApp => {
            "the application, and behind it what a longer update left".to_owned()
        }
        Expects::UpdateSlot => "erased, or an update of the profile's".to_owned(),
        Expects::Firmwares => "the firmware's own, whatever it is".to_owned(),
    }
}
