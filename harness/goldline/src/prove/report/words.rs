//! The sentences of a report, which its text and its page have in common.

use crate::prove::{
    ACCEPTABLE_SHARE, AcceptedInVain, CheckResult, KindResult, Proof, ProofOutcome, Subject,
};

/// What was mutated, and what no figure here says.
pub(super) fn subject(proof: &Proof) -> String {
    let of = match &proof.subject {
        Subject::Description { model } => {
            format!("a description of its firmware ({model}), not of the product's own image")
        }
        Subject::Image { path } => format!("the product's own image ({path})"),
    };
    format!(
        "{}: bad units were made of {of}; no figure here bounds what escapes in the field",
        proof.profile
    )
}

/// The outcome in one line.
pub(super) fn verdict(proof: &Proof) -> String {
    let all = proof.all_kinds();
    let passed =
        format!("{} of {} passed", all.escaped + all.accepted, count(all.bad(), "bad unit"));
    let accepted = match all.accepted {
        0 => String::new(),
        accepted => format!(" ({accepted} accepted)"),
    };
    let undecided = match all.undecided {
        0 => String::new(),
        undecided => format!(", {undecided} undecided"),
    };
    let (blames, good) = (proof.blames(), proof.good_units());
    let outcome = outcome(proof.outcome());
    format!(
        "{outcome}: {passed}{accepted}{undecided}; {blames} of {} blamed",
        count(good, "good unit")
    )
}

/// The outcome as a word that stands first.
pub(super) fn outcome(outcome: ProofOutcome) -> &'static str {
    match outcome {
        ProofOutcome::NothingEscapes => "NOTHING ESCAPES",
        ProofOutcome::Escapes => "NOT PROVEN",
        ProofOutcome::FellShort => "FELL SHORT",
        ProofOutcome::Stopped => "STOPPED",
    }
}

/// What the kinds' bounds are; none where nothing is bounded.
pub(super) fn bounds(proof: &Proof) -> Vec<String> {
    let has = |bound: fn(&KindResult) -> Option<f64>| {
        proof.kinds.iter().any(|kind| bound(kind).is_some())
    };
    let sure = proof.bounds.confidence * 100.0;
    let said = |which: &str, method: &str| {
        format!(
            "At most this share of those that {which} gets a wrong verdict, at {sure:.0} %: {method}."
        )
    };
    let drawn = said("were drawn from families without number", &proof.bounds.of_drawn);
    let counted = said("can be counted, where a part ran,", &proof.bounds.of_counted);
    let drawn = has(|kind| kind.upper_bound).then_some(drawn);
    let counted = has(|kind| kind.counted_upper_bound).then_some(counted);
    drawn.into_iter().chain(counted).collect()
}

/// What is to be known before the figures are believed; nothing of most proofs.
pub(super) fn warnings(proof: &Proof) -> Vec<String> {
    let mut warnings = Vec::new();
    if proof.stopped {
        warnings
            .push("It was ended before its time: what is not here was not looked for.".to_owned());
    }
    if proof.all_kinds().judged() == 0 {
        warnings.push("No bad unit ran: give it more time.".to_owned());
    }
    if proof.cut_off > 0 {
        let units = count(proof.cut_off, "unit");
        warnings.push(format!("{units} were cut off when it ended, and are counted nowhere."));
    }
    if proof.accepts_too_much() {
        let (share, most) = (percent(proof.accepted_share()), percent(ACCEPTABLE_SHARE));
        warnings.push(format!(
            "The profile accepts {share} of its mutants, more than {most}: mend its checks."
        ));
    }
    warnings.extend(proof.accepted_in_vain.iter().map(in_vain));
    warnings
}

fn in_vain(AcceptedInVain { mutant, caught, .. }: &AcceptedInVain) -> String {
    match caught.as_slice() {
        [] => format!(
            "[prove] accept names {mutant}, and the product has no such mutant: take it out."
        ),
        [one] if one == mutant => {
            format!("[prove] accept names {mutant}, which is caught: take it out.")
        }
        [first, rest @ ..] => {
            let more = match rest.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!(
                "[prove] accept names {mutant}, but these are caught: {first}{more}; take it out."
            )
        }
    }
}

/// What is to be known of a check beside its numbers.
pub(super) fn of_check(check: &CheckResult, proof: &Proof) -> &'static str {
    match check {
        // Where only some mutants were asked for, nothing is known of what the others need.
        _ if !proof.only.is_empty() || proof.all_kinds().judged() == 0 => "",
        check if !check.has_mutants && check.caught == 0 => "no mutant of its kind",
        check if check.alone == 0 => "no mutant needs it",
        _ => "",
    }
}

/// The name of a check, or of what ends a run without any.
pub(super) fn name_of(check: &CheckResult) -> &str {
    if check.id.is_empty() { "(the run ends)" } else { &check.id }
}

/// How the good units did.
pub(super) fn good_units(proof: &Proof) -> String {
    let good = &proof.good;
    format!("{} of {} passed, median {}", good.passed, good.runs, milliseconds(good.median_ms))
}

/// How long it took, and of what.
pub(super) fn duration(proof: &Proof) -> String {
    let took = format!("{:.1} s", proof.duration_ms as f64 / 1000.0);
    match proof.budget_s {
        Some(budget) => format!("{took} of {budget} s"),
        None => took,
    }
}

/// The command that does all of it again.
pub(super) fn again(proof: &Proof) -> String {
    let all = if proof.all { " --all" } else { "" };
    let budget = proof.budget_s.map(|budget| format!(" --budget {budget}s")).unwrap_or_default();
    let only: String = proof.only.iter().map(|id| format!(" --only '{id}'")).collect();
    format!("{}{all}{budget} --seed {}{only}", proof.again, proof.seed)
}

/// The command that runs one mutant again.
pub(super) fn one_again(proof: &Proof, mutant: &str) -> String {
    format!("{} --only '{mutant}'", proof.again)
}

/// A number of things.
pub(super) fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// A share with as many digits as say something.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        0.0 | 10.0.. => format!("{percent:.0} %"),
        1.0.. => format!("{percent:.1} %"),
        _ => format!("{percent:.2} %"),
    }
}

/// A time of a stage.
pub(super) fn milliseconds(ms: u64) -> String {
    if ms < 10_000 { format!("{ms} ms") } else { format!("{:.1} s", ms as f64 / 1000.0) }
}

/// Of what no mutant was made.
pub(super) fn left_out(proof: &Proof) -> String {
    let lines = count(proof.untold.len(), "line");
    format!(
        "{lines} of its firmware's description, which no run of it can tell: their reasons stand in the JSON"
    )
}
