//! Files that import each other, directly or round by others: none of them can be read, tested or
//! moved without the rest.
//!
//! A file imports the one that *defines* what it names: a name that `mod.rs` passes on from a child is the
//! child's. What is not found there by name (made by a macro) counts as the module's own. Declaring a
//! child (`mod x;`) and passing its names on without using them is no import; nor is anything in a test.
//! A folder is read from its `mod.rs` downwards: a file below may use what a module around it defines,
//! and that alone makes no circle of the two.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::PathBuf,
};

use super::sources::Import;

/// The files of each circle, as they are known until somebody mends them. Each list must be exact: what is
/// no circle any more, or has other files, is an error.
pub const KNOWN: &[(&str, &[&[&str]])] = &[];

/// Each file with those that it imports, and the line of the first such import.
type Graph = BTreeMap<PathBuf, BTreeMap<PathBuf, usize>>;

/// What is wrong with the imports of one crate, given the circles that are known.
pub fn violations(imports: &[Import], known: &[&[&str]]) -> Vec<String> {
    let graph = graph(imports);
    let mut unseen: BTreeSet<BTreeSet<PathBuf>> =
        known.iter().map(|files| files.iter().map(PathBuf::from).collect()).collect();
    let mut found = Vec::new();
    for circle in circles(&graph) {
        if !unseen.remove(&circle) {
            found.push(told(&graph, &circle));
        }
    }
    found.extend(unseen.iter().map(|circle| {
        let files: Vec<_> = circle.iter().map(|file| file.display().to_string()).collect();
        format!(
            "no circle of exactly these files any more: {}: correct the list in \
             xtask/src/check/circles.rs",
            files.join(", ")
        )
    }));
    found
}

fn graph(imports: &[Import]) -> Graph {
    let mut graph = Graph::new();
    for import in imports {
        let is_around = import.from.starts_with(&import.to);
        if import.is_test || import.only_passed_on || is_around || import.file == import.to_file {
            continue;
        }
        let edges = graph.entry(import.file.clone()).or_default();
        edges.entry(import.to_file.clone()).or_insert(import.line);
    }
    graph
}

/// The largest sets of files in which each leads to every other.
fn circles(graph: &Graph) -> Vec<BTreeSet<PathBuf>> {
    let mut circles = Vec::new();
    let mut seen = BTreeSet::new();
    for file in graph.keys() {
        if seen.contains(file) {
            continue;
        }
        let circle: BTreeSet<PathBuf> = reached_from(graph, file)
            .into_iter()
            .filter(|other| reached_from(graph, other).contains(file))
            .collect();
        seen.extend(circle.iter().cloned());
        if !circle.is_empty() {
            circles.push(circle);
        }
    }
    circles
}

/// Every file at the end of one import or more.
fn reached_from(graph: &Graph, start: &PathBuf) -> BTreeSet<PathBuf> {
    let mut reached = BTreeSet::new();
    let mut next = vec![start];
    while let Some(file) = next.pop() {
        for other in graph.get(file).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(other.clone()) {
                next.push(other);
            }
        }
    }
    reached
}

/// The whole circle, and the shortest way round in it, with lines.
fn told(graph: &Graph, circle: &BTreeSet<PathBuf>) -> String {
    let ways = circle.iter().filter_map(|file| way_round(graph, file));
    let way = ways.min_by_key(Vec::len).unwrap_or_default();
    let steps: Vec<String> = way
        .windows(2)
        .map(|step| {
            let line = graph[&step[0]][&step[1]];
            format!("  {}:{line} imports {}", step[0].display(), step[1].display())
        })
        .collect();
    let files: Vec<_> = circle.iter().map(|file| file.display().to_string()).collect();
    format!("a circle of {} files: {}\n{}", files.len(), files.join(", "), steps.join("\n"))
}

/// The shortest way from a file back to itself.
fn way_round(graph: &Graph, start: &PathBuf) -> Option<Vec<PathBuf>> {
    let mut ways = VecDeque::from([vec![start.clone()]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for other in graph.get(way.last()?).into_iter().flat_map(BTreeMap::keys) {
            let longer: Vec<PathBuf> = way.iter().chain([other]).cloned().collect();
            if other == start {
                return Some(longer);
            }
            if seen.insert(other.clone()) {
                ways.push_back(longer);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{super::sources::Crate, *};

    fn found(files: &[(&str, &str)], known: &[&[&str]]) -> Vec<String> {
        let texts = files.iter().map(|(place, text)| (Path::new(*place), *text));
        let read = Crate::of_texts(texts).expect("the example is Rust");
        violations(&read.imports("sample"), known)
    }

    #[track_caller]
    fn assert_none(files: &[(&str, &str)]) {
        assert_eq!(found(files, &[]), [""; 0]);
    }

    #[track_caller]
    fn assert_circle(files: &[(&str, &str)], expected: &str) {
        let found = found(files, &[]);
        assert!(found.len() == 1 && found[0].contains(expected), "{found:#?}");
    }

    #[test]
    fn two_files_that_import_each_other_are_told_with_their_lines() {
        assert_circle(
            &[
                ("a.rs", "use std::fmt;\nuse crate::b::B; struct A;"),
                ("b.rs", "struct B(crate::a::A);"),
            ],
            "a circle of 2 files: a.rs, b.rs\n  a.rs:2 imports b.rs\n  b.rs:1 imports a.rs",
        );
    }

    #[test]
    fn a_circle_round_by_others_is_found_and_a_chain_is_none() {
        let chain = [
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "use super::c::C; pub struct B;"),
            ("c.rs", ""),
        ];
        assert_none(&chain);
        let closed = [chain[0], chain[1], ("c.rs", "use crate::{a::{self}};")];
        assert_circle(&closed, "a circle of 3 files");
    }

    #[test]
    fn a_name_that_is_passed_on_is_its_definers() {
        let root = ("a/mod.rs", "mod x; mod y; pub use self::x::X;");
        assert_none(&[root, ("a/x.rs", "pub struct X;"), ("a/y.rs", "use super::X;")]);
        let root = ("a/mod.rs", "mod x; mod y; pub use x::{X as Z};");
        let circle =
            [root, ("a/x.rs", "pub struct X(super::y::Y);"), ("a/y.rs", "use super::Z; struct Y;")];
        assert_circle(&circle, "a circle of 2 files: a/x.rs, a/y.rs");
    }

    #[test]
    fn names_of_a_glob_are_their_definers() {
        let root = ("a/mod.rs", "mod x; mod y; pub use x::*;");
        assert_none(&[root, ("a/x.rs", "pub struct X;"), ("a/y.rs", "use super::X;")]);
    }

    #[test]
    fn a_parent_and_its_child_are_no_circle_but_with_others() {
        let child = ("a/x.rs", "use super::A; pub struct X(A, crate::b::B);");
        let parent = ("a/mod.rs", "mod x; use x::X; pub struct A(X);");
        assert_none(&[parent, child, ("b.rs", "pub struct B;")]);
        assert_circle(
            &[parent, child, ("b.rs", "pub struct B(crate::a::A);")],
            "a circle of 3 files",
        );
        // The parent passes its child's name on, and nothing else.
        let parent = ("a/mod.rs", "mod x; pub use x::X; pub struct A;");
        assert_none(&[parent, child, ("b.rs", "pub struct B(crate::a::A);")]);
        for user in ["fn f() -> X { todo!() }", "fn f() { x::g() }"] {
            let text = format!("mod x; pub use x::X; pub struct A; {user}");
            let files =
                [("a/mod.rs", text.as_str()), child, ("b.rs", "pub struct B(crate::a::A);")];
            assert_circle(&files, "a circle of 3 files");
        }
    }

    #[test]
    fn a_module_in_braces_is_its_files_and_a_test_is_nobodys() {
        let files = [
            ("a.rs", "pub struct A; mod inner { use super::A; use super::super::b::B; }"),
            ("b.rs", "pub struct B; #[cfg(test)] mod tests { use super::*; use crate::a::A; }"),
        ];
        assert_none(&files);
        let files = [files[0], ("b.rs", "pub struct B(crate::a::A);")];
        assert_circle(&files, "a.rs:1 imports b.rs");
    }

    #[test]
    fn a_tests_file_may_use_all_and_comments_say_nothing() {
        assert_none(&[
            (
                "a/mod.rs",
                "mod tests; pub struct A; /// See [`crate::b::B`].\nconst T: &str = \"crate::b::B\";",
            ),
            ("a/tests.rs", "use super::A; use crate::b::B;"),
            ("b.rs", "use crate::a::A; pub struct B;"),
        ]);
    }

    #[test]
    fn a_known_circle_is_named_exactly() {
        let files = [("a.rs", "use crate::b::B; struct A;"), ("b.rs", "struct B(crate::a::A);")];
        assert_eq!(found(&files, &[&["a.rs", "b.rs"]]), [""; 0]);
        let other = found(&files, &[&["a.rs", "b.rs", "c.rs"]]);
        assert_eq!(other.len(), 2);
        assert!(other[0].starts_with("a circle of 2 files: a.rs, b.rs"), "{other:?}");
        assert!(other[1].starts_with("no circle of exactly these files any more"), "{other:?}");
    }
}
