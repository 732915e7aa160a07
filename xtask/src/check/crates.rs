//! Which crate of the workspace may depend on which other one.
//!
//! The simulator is the independent other side: were it to share code with the harness, both could
//! be wrong in the same way and still agree. Development dependencies count too.

use serde_json::Value;

use crate::{
    Outcome,
    command::{cargo, output},
};

/// Each crate of the workspace with those of the others that it may depend on.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    // The crate for other people's tests is held to the records of this program.
    ("goldline", &["goldline-nvs", "goldline-record", "goldline-simulator"]),
    ("goldline-nvs", &[]),
    ("goldline-record", &[]),
    ("goldline-simulator", &[]),
    ("xtask", &[]),
];

/// Fails on a dependency that the table does not allow, and on a crate that it does not name.
pub fn check() -> Outcome {
    let text = output(&mut cargo(["metadata", "--no-deps", "--format-version", "1", "--locked"]))?;
    let metadata: Value =
        serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
    let violations = violations(&metadata);
    if violations.is_empty() { Ok(()) } else { Err(violations.join("\n")) }
}

fn violations(metadata: &Value) -> Vec<String> {
    let packages = || metadata["packages"].as_array().into_iter().flatten();
    let members: Vec<&str> = packages().filter_map(|package| package["name"].as_str()).collect();
    let mut found = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().unwrap_or_default();
        let Some((_, allowed)) = MAY_DEPEND_ON.iter().find(|(member, _)| *member == name) else {
            found.push(format!(
                "crate \"{name}\" is not in the table of xtask/src/check/crates.rs: add it there"
            ));
            continue;
        };
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        for dependency in dependencies.filter_map(|dependency| dependency["name"].as_str()) {
            if members.contains(&dependency) && !allowed.contains(&dependency) {
                found.push(format!(
                    "{name} depends on {dependency}: expected only [{}] of the workspace",
                    allowed.join(", ")
                ));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn workspace(simulator_dependencies: Value) -> Value {
        json!({ "packages": [
            { "name": "goldline", "dependencies": [{ "name": "goldline-nvs" }, { "name": "serde" }] },
            { "name": "goldline-nvs", "dependencies": [] },
            { "name": "goldline-simulator", "dependencies": simulator_dependencies },
        ]})
    }

    #[test]
    fn the_harness_may_use_its_two_crates_and_anyone_a_foreign_one() {
        assert_eq!(violations(&workspace(json!([{ "name": "esp-nvs" }]))), [""; 0]);
    }

    #[test]
    fn the_simulator_may_not_use_the_harness_even_in_its_tests() {
        let found = violations(&workspace(json!([{ "name": "goldline-nvs", "kind": "dev" }])));
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("goldline-simulator depends on goldline-nvs"), "{found:?}");
    }

    #[test]
    fn an_unknown_member_is_refused() {
        let metadata = json!({ "packages": [{ "name": "stowaway", "dependencies": [] }] });
        assert!(violations(&metadata)[0].contains("\"stowaway\" is not in the table"));
    }
}
