//! Whether imports point down and go in no circle, in each crate of the harness.

use super::{
    circles,
    layers::{self, Layers},
    sources::{Crate, Import},
};
use crate::{Outcome, workspace};

/// Fails on an import that points up, on a circle of files, and on a table of layers that does not name
/// the modules that there are.
pub fn check() -> Outcome {
    let mut violations = Vec::new();
    for layers in &layers::CRATES {
        let read = Crate::read(&workspace::root().join(layers.sources))?;
        let imports = read.imports(layers.crate_name);
        violations.extend(layers.mismatches(&read.top_modules()));
        violations.extend(directions(layers, &imports));
        let known = circles::KNOWN.iter().find(|(name, _)| *name == layers.crate_name);
        let circles = circles::violations(&imports, known.map_or(&[], |(_, circles)| circles));
        violations.extend(circles.iter().map(|circle| format!("{}: {circle}", layers.sources)));
    }
    if violations.is_empty() { Ok(()) } else { Err(violations.join("\n")) }
}

/// The imports that point up or sideways. A test stands above all of its crate and may use it.
fn directions(layers: &Layers, imports: &[Import]) -> Vec<String> {
    // The crate's root declares every module, passes names on, and belongs to none.
    let refused = |import: &Import| {
        let from = import.from.first().filter(|_| !import.is_test)?;
        let reason = if import.is_glob_of_crate {
            "a glob of the whole crate hides what is imported: name the module".to_owned()
        } else {
            layers.refusal(from, import.to.first()?)?
        };
        let place = import.file.display();
        Some(format!("{}/{place}:{}: {reason}", layers.sources, import.line))
    };
    let mut refused: Vec<String> = imports.iter().filter_map(refused).collect();
    refused.dedup();
    refused
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const MODULES: [&str; 5] = ["cli.rs", "engine/mod.rs", "store.rs", "record.rs", "check/mod.rs"];

    fn found(place: &str, text: &str) -> Vec<String> {
        let others = MODULES.iter().filter(|module| **module != place);
        let others = others.map(|&module| (Path::new(module), "pub fn run() {}"));
        let read = Crate::of_texts(others.chain([(Path::new(place), text)]));
        directions(&layers::CRATES[0], &read.expect("the example is Rust").imports("goldline"))
    }

    #[track_caller]
    fn assert_good(place: &str, text: &str) {
        assert_eq!(found(place, text), [""; 0]);
    }

    #[track_caller]
    fn assert_bad(place: &str, text: &str, expected: &str) {
        let found = found(place, text);
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    }

    #[test]
    fn an_import_that_points_down_is_good() {
        assert_good("engine/mod.rs", "use crate::record::run; use std::fmt; use crate::engine::x;");
        assert_good("profile/chip.rs", "use super::FlashMap; use self::names::Name;");
        assert_good("main.rs", "fn main() { goldline::cli::run() }");
    }

    #[test]
    fn an_import_that_points_up_is_bad_with_its_line() {
        assert_bad(
            "plan/mod.rs",
            "use std::fmt;\nuse crate::engine::Engine;",
            "harness/goldline/src/plan/mod.rs:2: plan (layer 4) imports upward from engine (layer 6)",
        );
    }

    #[test]
    fn groups_are_read_to_the_bottom() {
        let text =
            "use crate::{record::{self, Deadline}, store::{run as store},\n cli::{Args, Exit}};";
        let found = found("report.rs", text);
        assert!(
            found[0].contains("report.rs:1: report (layer 7) imports sideways from store"),
            "{found:?}"
        );
        assert!(
            found[1].contains("report.rs:2: report (layer 7) imports upward from cli"),
            "{found:?}"
        );
    }

    #[test]
    fn a_path_in_an_expression_counts() {
        assert_bad("secret.rs", "fn f() { g(vec![crate::store::open()]) }", "upward from store");
        assert_bad("secret.rs", "type R = Option<crate::record::Record>;", "upward from record");
    }

    #[test]
    fn super_is_followed_to_the_root() {
        assert_bad("plan/methods/at.rs", "use super::super::super::engine::run;", "from engine");
        assert_bad("plan/mod.rs", "use super::{check::Check};", "sideways from check");
        assert_bad("plan/mod.rs", "use self::super::engine::run;", "from engine");
        assert_good("plan/methods/at.rs", "use super::engine::run;");
    }

    #[test]
    fn a_module_in_braces_stands_one_deeper_and_a_test_above_all() {
        assert_good("clock.rs", "mod inner { use super::*; fn f() { super::now() } }");
        assert_bad("clock.rs", "mod inner { use super::super::cli::run; }", "upward from cli");
        assert_good("clock.rs", "mod tests { use super::super::cli::run; }");
    }

    #[test]
    fn a_glob_of_the_crate_is_bad() {
        for text in ["use crate::*;", "use super::*;", "use crate::{*};"] {
            let texts = [("lib.rs", "mod clock;"), ("clock.rs", text)];
            let texts = texts.map(|(place, text)| (Path::new(place), text));
            let imports = Crate::of_texts(texts).expect("the example is Rust").imports("goldline");
            let found = directions(&layers::CRATES[0], &imports);
            assert!(found.len() == 1 && found[0].contains("hides what is imported"), "{found:?}");
        }
    }

    #[test]
    fn comments_strings_and_visibilities_do_not_count() {
        assert_good("clock.rs", "/// See [`crate::cli::run`].\n// crate::cli\nfn f() {}");
        assert_good("clock.rs", "const HELP: &str = \"crate::cli::run\";");
        assert_good("clock.rs", "pub(crate) struct A; pub(in crate::cli) struct B;");
    }

    #[test]
    fn a_name_of_the_crates_root_counts_as_its_definers() {
        let texts = [
            ("lib.rs", "mod engine; mod plan; pub use engine::Engine;"),
            ("engine.rs", "pub struct Engine;"),
            ("plan.rs", "use crate::Engine;"),
        ];
        let texts = texts.map(|(place, text)| (Path::new(place), text));
        let imports = Crate::of_texts(texts).expect("the example is Rust").imports("goldline");
        let found = directions(&layers::CRATES[0], &imports);
        assert!(found.len() == 1 && found[0].contains("upward from engine"), "{found:?}");
    }

    #[test]
    fn every_crate_is_read() {
        for layers in &layers::CRATES {
            let read = Crate::read(&workspace::root().join(layers.sources)).expect("it is there");
            // The crate that reads records is meant to stay small.
            let small = layers.crate_name == "goldline_record";
            let (files, imports) = if small { (2, 2) } else { (50, 100) };
            let found = (read.files(), read.imports(layers.crate_name).len());
            assert!(found.0 > files && found.1 > imports, "{}: {found:?}", layers.crate_name);
        }
    }
}
