//! Units that say the same, told once: families have hundreds of them.

use crate::prove::{Case, Kind, Survivor};

/// Survivors with one meaning and one remedy.
pub(super) struct Survivors<'a> {
    pub(super) first: &'a Survivor,
    /// All of them, the first too.
    pub(super) cases: Vec<&'a Case>,
}

/// Those that nobody accepts first, in their order.
pub(super) fn survivors(of: &[Survivor]) -> Vec<Survivors<'_>> {
    let told = |one: &Survivor| {
        (one.case.kind, one.means.clone(), one.remedy.clone(), one.accepted_because.clone())
    };
    let mut groups: Vec<Survivors<'_>> = Vec::new();
    for survivor in of {
        match groups.iter_mut().find(|group| told(group.first) == told(survivor)) {
            Some(group) => group.cases.push(&survivor.case),
            None => groups.push(Survivors { first: survivor, cases: vec![&survivor.case] }),
        }
    }
    groups.sort_by_key(|group| group.first.accepted_because.is_some());
    groups
}

/// Cases of one kind that were told the same code.
pub(super) struct Cases<'a> {
    pub(super) kind: Option<Kind>,
    /// The code, or else the verdict.
    pub(super) said: &'a str,
    pub(super) cases: Vec<&'a Case>,
}

/// By kind and by what was said of them, in their order.
pub(super) fn cases(of: &[Case]) -> Vec<Cases<'_>> {
    let mut groups: Vec<Cases<'_>> = Vec::new();
    for case in of {
        let said = case.code.as_deref().unwrap_or(&case.verdict);
        match groups.iter_mut().find(|group| (group.kind, group.said) == (case.kind, said)) {
            Some(group) => group.cases.push(case),
            None => groups.push(Cases { kind: case.kind, said, cases: vec![case] }),
        }
    }
    groups
}
