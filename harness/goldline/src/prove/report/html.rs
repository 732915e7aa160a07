//! A proof as one page that stands alone: for a browser, for paper, and to be read aloud.
//!
//! Nothing is fetched from anywhere, no colour says what no word says, and whatever a mutant is called is text.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    cases::{Survivors, cases, survivors},
    matrix::{Matrix, MatrixRow, matrix},
    rows::{COLUMNS, rows},
    words,
};
use crate::prove::{Case, Proof, ProofOutcome};

/// So many that say the same are told by their ids.
const TOLD: usize = 5;
const STYLE: PreEscaped<&str> = PreEscaped(include_str!("style.css"));

/// The whole page.
pub fn proof_page(proof: &Proof) -> String {
    let is_good = proof.outcome() == ProofOutcome::NothingEscapes;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (proof.profile) ": what its test lets through" }
                style { (STYLE) }
            }
            body {
                main {
                    p.soft { (words::subject(proof)) "." }
                    h1 { (proof.profile) ": what its test lets through" }
                    p.verdict.good[is_good].bad[!is_good] { (words::verdict(proof)) }
                    @for warning in words::warnings(proof) { p.warning { (warning) } }
                    (survived(proof))
                    (looked_at(&matrix(proof)))
                    (kinds(proof))
                    (checks(proof))
                    (list("Wrong causes", "They FAIL, but not for what is wrong with them.", &proof.wrong_causes))
                    (list("Undecided", "Nothing is said of them: ERROR is not caught.", &proof.undecided))
                    (list("Blamed", "They are good, and FAIL.", &proof.blamed))
                    (list("Good units that did not pass", "Nothing was wrong with them.", &proof.good.refused))
                    (list("Impossible", "No unit can be so; they were never made.", &proof.impossible))
                    (ran(proof))
                }
            }
        }
    };
    page.into_string()
}

fn survived(proof: &Proof) -> Markup {
    let groups = survivors(&proof.survivors);
    html! {
        section {
            h2 { "Bad units that passed" }
            @if groups.is_empty() { p { "None of those that ran." } }
            @for group in &groups { (survivor(proof, group)) }
        }
    }
}

fn survivor(proof: &Proof, group: &Survivors<'_>) -> Markup {
    let Survivors { first, cases } = group;
    let is_escaped = first.accepted_because.is_none();
    let word = if is_escaped { "ESCAPED" } else { "accepted" };
    html! {
        article.case.escaped[is_escaped] {
            h3 { (word) @if let Some(kind) = first.case.kind { ": " (kind) } }
            (told(cases, false))
            dl {
                dt { "for a customer" } dd { (first.means) }
                dt { "would catch it" } dd { (first.remedy) }
                @if let Some(because) = &first.accepted_because { dt { "accepted" } dd { (because) } }
                dt { "run it again" } dd { code { (words::one_again(proof, &first.case.mutant)) } }
            }
        }
    }
}

/// The first few by their ids, and how many more there are.
fn told(cases: &[&Case], with_message: bool) -> Markup {
    html! {
        ul {
            @for case in cases.iter().take(TOLD) {
                li {
                    // A good unit has no name, and nothing is wrong with it.
                    @if case.kind.is_some() { code { (case.mutant) } " " (case.what) " " }
                    @if let (true, Some(message)) = (with_message, &case.message) {
                        span.said { (message) }
                    }
                }
            }
            @if cases.len() > TOLD { li { "and " (cases.len() - TOLD) " more, in the JSON" } }
        }
    }
}

fn looked_at(matrix: &Matrix<'_>) -> Markup {
    let passed = matrix.rows.iter().any(|row| row.passed > 0);
    html! {
        section.whole {
            h2 { "Which check blamed what" }
            div.wide { table.matrix {
                caption { "Units that a check blamed" }
                thead { tr {
                    th scope="col" { "kind" }
                    th.turned scope="col" { span { "ran" } }
                    @for check in &matrix.checks { th.turned scope="col" { span { (check) } } }
                    @if passed { th.turned scope="col" { span { "passed" } } }
                } }
                tbody { @for row in &matrix.rows {
                    tr {
                        th scope="row" { (row.kind) }
                        td { (row.ran) }
                        @for number in &row.blamed_by { (cell(row, *number, "shaded")) }
                        @if passed { (cell(row, row.passed, "passed")) }
                    }
                } }
            } }
            p.soft {
                "The fuller a cell, the more of its kind. Good units on a bad wire count as a kind, and no check is to blame them."
            }
        }
    }
}

fn cell(row: &MatrixRow, number: usize, class: &str) -> Markup {
    if number == 0 {
        return html! { td { "–" } };
    }
    let share = row.share(number) * 100.0;
    html! { td class=(class) style=(format!("--share: {share:.0}")) { (number) } }
}

fn kinds(proof: &Proof) -> Markup {
    html! {
        section.whole {
            h2 { "Kinds of bad units" }
            div.wide { table {
                caption { "What became of them" }
                thead { tr {
                    th scope="col" { "kind" }
                    @for column in COLUMNS { th scope="col" { (column) } }
                } }
                tbody { @for row in rows(proof) {
                    tr {
                        th scope="row" { (row.kind) @if row.is_drawn { " (drawn)" } }
                        @for cell in &row.cells { td { @if cell == "0" { "–" } @else { (cell) } } }
                    }
                } }
            } }
            @for bound in words::bounds(proof) { p.soft { (bound) } }
        }
    }
}

fn checks(proof: &Proof) -> Markup {
    html! {
        section.whole {
            h2 { "Checks" }
            div.wide { table {
                caption { "What each is good for" }
                thead { tr {
                    th scope="col" { "check" }
                    @for column in ["caught", "alone", "others not asked", "time"] { th scope="col" { (column) } }
                    th.words scope="col" { "remark" }
                } }
                tbody { @for check in &proof.checks {
                    tr {
                        th scope="row" { (words::name_of(check)) }
                        td { (check.caught) }
                        td { (check.alone) }
                        td { (check.others_not_asked) }
                        td { (check.median_ms.map(words::milliseconds).unwrap_or_default()) }
                        td.words { (words::of_check(check, proof)) }
                    }
                } }
            } }
            p.soft {
                "Alone: no other check blamed the unit. Others not asked: of these, the run ended before every check was asked, \
                 and nobody knows what the others would have said."
            }
        }
    }
}

fn list(title: &str, what: &str, of: &[Case]) -> Markup {
    html! {
        @if !of.is_empty() {
            section {
                h2 { (title) " (" (of.len()) ")" }
                p { (what) }
                @for group in cases(of) {
                    article.case {
                        h3 {
                            @if let Some(kind) = group.kind { (kind) ", " }
                            code { (group.said) } ": " (group.cases.len())
                        }
                        (told(&group.cases, true))
                    }
                }
            }
        }
    }
}

fn ran(proof: &Proof) -> Markup {
    html! {
        section {
            h2 { "The run" }
            dl {
                dt { "good units" } dd { (words::good_units(proof)) }
                dt { "took" } dd { (words::duration(proof)) }
                dt { "seed" } dd { (proof.seed) }
                dt { "made by" } dd { "goldline " (proof.goldline) }
                dt { "all of it again" } dd { code { (words::again(proof)) } }
                dt { "one mutant again" } dd { code { (words::one_again(proof, "ID")) } }
            }
        }
    }
}
