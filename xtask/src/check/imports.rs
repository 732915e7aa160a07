//! Reads which modules of the harness each of its files names, and asks `layers` whether it may.
//!
//! Any path counts, not only `use`: `crate::a::b` in an expression ties two modules together just as
//! well, and so does `super::super::a`. Comments and strings do not count. Tests inside a file do.

use std::{
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::layers;
use crate::{Outcome, workspace};

const SOURCES: &str = "harness/goldline/src";

/// A top-level module that a file names.
#[derive(Debug, PartialEq, Eq)]
struct Import {
    /// Name of the module, or `*` for a glob of the whole crate.
    module: String,
    /// Counted from 1.
    line: usize,
}

/// Fails on an import that points up, and on a module that the table of layers does not name.
pub fn check() -> Outcome {
    let sources = workspace::root().join(SOURCES);
    let mut violations = Vec::new();
    for file in rust_files(&sources)? {
        let text = fs::read_to_string(&file)
            .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        let place = file.strip_prefix(&sources).expect("the file lies below the sources");
        violations.extend(violations_of(place, &text)?);
    }
    if violations.is_empty() { Ok(()) } else { Err(violations.join("\n")) }
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error| format!("cannot list {}: {error}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// What is wrong with one file; `place` is its path below the sources.
fn violations_of(place: &Path, text: &str) -> Result<Vec<String>, String> {
    let shown = Path::new(SOURCES).join(place);
    let tokens: TokenStream =
        text.parse().map_err(|error| format!("{}: not Rust: {error}", shown.display()))?;
    let (module, depth) = module_of(place);
    // The crate's root declares every module and belongs to none.
    if module == "lib" {
        return Ok(Vec::new());
    }
    // Even a file that imports nothing must have a layer.
    if let Some(reason) = layers::unknown(&module) {
        return Ok(vec![format!("{}: {reason}", shown.display())]);
    }
    let mut reader = Reader { imports: Vec::new() };
    reader.read(tokens, depth);
    let refused = |import: Import| {
        let reason = if import.module == "*" {
            "a glob of the whole crate hides what is imported: name the module".to_owned()
        } else {
            layers::refusal(&module, &import.module)?
        };
        Some(format!("{}:{}: {reason}", shown.display(), import.line))
    };
    Ok(reader.imports.into_iter().filter_map(refused).collect())
}

/// The top-level module that a file belongs to, and how many modules deep it stands in the crate.
fn module_of(place: &Path) -> (String, usize) {
    let mut parts: Vec<&str> = place.iter().filter_map(|part| part.to_str()).collect();
    let file = parts.pop().unwrap_or_default();
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    let module = parts.first().copied().unwrap_or(stem);
    let depth = match (parts.is_empty(), stem) {
        (true, "main" | "lib") => 0,
        (_, "mod") => parts.len(),
        _ => parts.len() + 1,
    };
    (module.to_owned(), depth)
}

/// Walks tokens and notes each path that reaches the crate's root.
struct Reader {
    imports: Vec<Import>,
}

impl Reader {
    /// `depth` counts the modules around the tokens.
    fn read(&mut self, tokens: TokenStream, depth: usize) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            if let Some(start) = start_of_path(&tokens[at..], depth) {
                at = self.follow(&tokens, at + 1, start);
            } else if let Some(body) = inline_module(&tokens[at..]) {
                self.read(body, depth + 1);
                at += 3;
            } else {
                if let TokenTree::Group(group) = &tokens[at] {
                    self.read(group.stream(), depth);
                }
                at += 1;
            }
        }
    }

    /// Follows a path whose last word stood before `at` and led `depth` modules deep; returns the
    /// index after it.
    fn follow(&mut self, tokens: &[TokenTree], mut at: usize, mut depth: usize) -> usize {
        while is_double_colon(&tokens[at.min(tokens.len())..]) {
            at += 2;
            match self.step(tokens.get(at), depth) {
                Step::Up => depth = depth.saturating_sub(1),
                Step::Stay => {}
                Step::End => return at + 1,
            }
            at += 1;
        }
        at
    }

    /// One word of a path, or the braces that end it.
    fn step(&mut self, token: Option<&TokenTree>, depth: usize) -> Step {
        match token {
            Some(TokenTree::Ident(word)) if word == "super" => return Step::Up,
            Some(TokenTree::Ident(word)) if word == "self" => return Step::Stay,
            Some(TokenTree::Ident(word)) if depth == 0 => {
                self.note(word.to_string(), word.span().start().line);
            }
            Some(TokenTree::Punct(star)) if star.as_char() == '*' && depth == 0 => {
                self.note("*".to_owned(), star.span().start().line);
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                self.alternatives(group.stream(), depth);
            }
            _ => {}
        }
        Step::End
    }

    /// The comma-separated paths in `use crate::{a::b, c}`.
    fn alternatives(&mut self, tokens: TokenStream, depth: usize) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for path in tokens.split(|token| is_punct(token, ',')) {
            match self.step(path.first(), depth) {
                Step::Up => {
                    self.follow(path, 1, depth.saturating_sub(1));
                }
                Step::Stay => {
                    self.follow(path, 1, depth);
                }
                Step::End => {}
            }
        }
    }

    fn note(&mut self, module: String, line: usize) {
        self.imports.push(Import { module, line });
    }
}

/// What a word of a path does to the place that it has led to.
enum Step {
    /// `super`.
    Up,
    /// `self`.
    Stay,
    /// A name: nothing further down the path can reach another top-level module.
    End,
}

/// The depth that the first word leads to, when it starts a path inside the crate.
fn start_of_path(tokens: &[TokenTree], depth: usize) -> Option<usize> {
    let TokenTree::Ident(word) = tokens.first()? else { return None };
    if !is_double_colon(&tokens[1..]) {
        return None;
    }
    match word.to_string().as_str() {
        // The binary names the library's modules by the crate's name.
        "crate" | "goldline" => Some(0),
        "self" => Some(depth),
        "super" => Some(depth.saturating_sub(1)),
        _ => None,
    }
}

/// The body of `mod name { … }`.
fn inline_module(tokens: &[TokenTree]) -> Option<TokenStream> {
    let [TokenTree::Ident(word), TokenTree::Ident(_), TokenTree::Group(body), ..] = tokens else {
        return None;
    };
    (word == "mod" && body.delimiter() == Delimiter::Brace).then(|| body.stream())
}

fn is_double_colon(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [first, second, ..] if is_punct(first, ':') && is_punct(second, ':'))
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(place: &str, text: &str) -> Vec<String> {
        violations_of(Path::new(place), text).expect("the example is Rust")
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
        assert_good("engine/mod.rs", "use crate::plan::Plan; use std::fmt; use crate::engine::x;");
        assert_good("profile/chip.rs", "use super::FlashMap; use self::names::Name;");
        assert_good("main.rs", "fn main() { goldline::cli::main() }");
    }

    #[test]
    fn an_import_that_points_up_is_bad_with_its_line() {
        assert_bad(
            "plan/mod.rs",
            "use std::fmt;\nuse crate::engine::Engine;",
            "harness/goldline/src/plan/mod.rs:2: plan (layer 3) imports upward from engine (layer 4)",
        );
    }

    #[test]
    fn groups_are_read_to_the_bottom() {
        let text = "use crate::{clock::{self, Deadline}, secret::Secret,\n cli::{Args, Exit}};";
        assert_bad(
            "device/serial.rs",
            text,
            "serial.rs:2: device (layer 2) imports upward from cli",
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
    fn a_test_module_stands_one_deeper() {
        assert_good("clock.rs", "mod tests { use super::*; fn f() { super::now() } }");
        assert_bad("clock.rs", "mod tests { use super::super::cli::run; }", "upward from cli");
    }

    #[test]
    fn a_glob_of_the_crate_is_bad() {
        assert_bad("clock.rs", "use crate::*;", "hides what is imported");
        assert_bad("clock.rs", "use super::*;", "hides what is imported");
        assert_bad("clock.rs", "use crate::{*};", "hides what is imported");
    }

    #[test]
    fn comments_strings_and_visibilities_do_not_count() {
        assert_good("clock.rs", "/// See [`crate::cli::run`].\n// crate::cli\nfn f() {}");
        assert_good("clock.rs", "const HELP: &str = \"crate::cli::run\";");
        assert_good("clock.rs", "pub(crate) struct A; pub(in crate::clock) struct B;");
    }

    #[test]
    fn a_file_without_a_layer_is_bad_even_without_imports() {
        assert_bad("helpers.rs", "fn f() {}", "\"helpers\" is not in the table");
        assert_bad("utils/text.rs", "use crate::cli::x;", "\"utils\" is not in the table");
        assert_bad("engine/mod.rs", "use crate::helpers::f;", "\"helpers\" is not in the table");
    }

    #[test]
    fn the_harness_itself_is_read() {
        let sources = workspace::root().join(SOURCES);
        let files = rust_files(&sources).expect("the sources are there");
        assert!(files.iter().any(|file| file.ends_with("profile/mod.rs")), "{files:?}");
    }
}
