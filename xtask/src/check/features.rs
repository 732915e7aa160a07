//! Whether the program and its tests are built with the same features of every crate.
//!
//! A feature that only a test or one crate asks for has that crate, and all that stand on it, built
//! twice: once for `cargo run`, once for the tests. The first build is then half as long again.
//! The chores alone may differ: of what they need only serde_json and two crates below it are shared,
//! some seconds of building, and `cargo xtask` works in every folder because it names its package.

use std::collections::BTreeSet;

use crate::{
    Outcome,
    command::{cargo, output},
};

/// What else is built without the tests: commands that people type.
const WITHOUT_TESTS: &[&[&str]] = &[&["--workspace"], &["--package", "goldline"]];

/// Fails when a crate of the program is built with other features than for the tests.
pub fn check() -> Outcome {
    let tests = built(&["--workspace"], "normal,build,dev")?;
    let mut problems = Vec::new();
    for packages in WITHOUT_TESTS {
        let program = built(packages, "normal,build")?;
        problems.extend(built_twice(&program, &tests));
    }
    problems.dedup();
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

/// Each crate with its features, as `name vVERSION [FEATURES]`.
fn built(packages: &[&str], edges: &str) -> Result<BTreeSet<String>, String> {
    let mut tree = cargo(["tree", "--locked", "--prefix", "none", "--format", "{p} [{f}]"]);
    let tree = output(tree.args(["--edges", edges]).args(packages))?;
    Ok(tree.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect())
}

fn built_twice(program: &BTreeSet<String>, tests: &BTreeSet<String>) -> Vec<String> {
    let named = |built: &str| built.split(" [").next().unwrap_or_default().to_owned();
    let others = |name: &str| {
        let of_tests = tests.iter().filter(|built| named(built) == name);
        of_tests.cloned().collect::<Vec<_>>().join(", ")
    };
    let differing = program.difference(tests);
    differing
        .map(|built| {
            format!(
                "{built} is built again for the tests, as {}: let the workspace's Cargo.toml ask for \
                 the features that only tests or chores need",
                others(&named(built))
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(lines: &[&str]) -> BTreeSet<String> {
        lines.iter().map(|&line| line.to_owned()).collect()
    }

    #[test]
    fn a_crate_of_the_tests_alone_is_no_second_build() {
        let tests = set(&["tokio v1 [net,rt]", "insta v1 []"]);
        assert_eq!(built_twice(&set(&["tokio v1 [net,rt]"]), &tests), [""; 0]);
    }

    #[test]
    fn a_feature_of_the_tests_alone_is_named_with_its_crate() {
        let tests = set(&["tokio v1 [net,rt,test-util]"]);
        let found = built_twice(&set(&["tokio v1 [net,rt]"]), &tests);
        assert_eq!(found.len(), 1);
        let start =
            "tokio v1 [net,rt] is built again for the tests, as tokio v1 [net,rt,test-util]";
        assert!(found[0].starts_with(start), "{found:?}");
    }
}
