//! Changes of a firmware description, one leaf at a time.

use toml::{Table, Value};

use super::rules::{self, Rule};

/// One changed description.
pub struct Mutation {
    /// Which leaf, and what it became.
    pub what: String,
    /// The whole description.
    pub description: String,
    /// Texts of which the run must say one.
    pub named: Vec<String>,
}

/// Every change of every leaf of a description, for a profile.
///
/// # Panics
/// When no rule knows a leaf.
pub fn mutations(description: &str, profile: &Table) -> Vec<Mutation> {
    let table: Table = description.parse().expect("a description is TOML");
    let mut leaves = Vec::new();
    collect(&Value::Table(table.clone()), &mut Vec::new(), &mut leaves);
    let mut mutations = Vec::new();
    let mut unknown = Vec::new();
    for (path, value) in &leaves {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match rules::of(&path, value, &table, profile) {
            Rule::Unknown => unknown.push(path.join(".")),
            Rule::NoRunCanTell(_reason) => {}
            Rule::Change { value: changed, named } => {
                let mut root = Value::Table(table.clone());
                replace(&mut root, &path, changed.clone());
                let Value::Table(root) = root else { unreachable!("the root is a table") };
                mutations.push(Mutation {
                    what: format!("{} = {value} → {changed}", path.join(".")),
                    description: root.to_string(),
                    named,
                });
            }
        }
    }
    assert!(unknown.is_empty(), "no rule says what a change of these must lead to: {unknown:?}");
    mutations
}

fn collect(value: &Value, path: &mut Vec<String>, leaves: &mut Vec<(Vec<String>, Value)>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                path.push(key.clone());
                collect(value, path, leaves);
                path.pop();
            }
        }
        Value::Array(array) => {
            for (index, value) in array.iter().enumerate() {
                path.push(index.to_string());
                collect(value, path, leaves);
                path.pop();
            }
        }
        leaf => leaves.push((path.clone(), leaf.clone())),
    }
}

fn replace(value: &mut Value, path: &[&str], changed: Value) {
    let [first, rest @ ..] = path else {
        *value = changed;
        return;
    };
    let child = match value {
        Value::Table(table) => table.get_mut(*first),
        Value::Array(array) => first.parse().ok().and_then(|index: usize| array.get_mut(index)),
        _ => None,
    };
    replace(child.expect("the path is one of this table's"), rest, changed);
}
