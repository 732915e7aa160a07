//! The leaves of a firmware description, and the description with another value for one of them.

use toml::{Table, Value};

/// Where a leaf stands, and what stands there.
pub(super) struct Leaf {
    /// Keys, and indexes of lists, from the root on.
    pub(super) path: Vec<String>,
    /// A text, a number or a truth.
    pub(super) value: Value,
}

/// Every leaf, in the order of the names.
pub(super) fn leaves(description: &Table) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    for (key, value) in description {
        collect(value, vec![key.clone()], &mut leaves);
    }
    leaves
}

fn collect(value: &Value, path: Vec<String>, leaves: &mut Vec<Leaf>) {
    let below = |name: String| [&path[..], &[name]].concat();
    match value {
        Value::Table(table) => {
            table.iter().for_each(|(key, value)| collect(value, below(key.clone()), leaves));
        }
        Value::Array(array) => {
            let values = array.iter().enumerate();
            values.for_each(|(index, value)| collect(value, below(index.to_string()), leaves));
        }
        leaf => leaves.push(Leaf { value: leaf.clone(), path }),
    }
}

/// The description in which a leaf has another value.
///
/// # Panics
/// When the path is not one of this description's.
pub(super) fn with(description: &Table, path: &[String], value: Value) -> Table {
    let (first, rest) = path.split_first().expect("a leaf stands below the root");
    let mut changed = description.clone();
    let child = changed.get_mut(first).expect("the path is one of this description's");
    replace(child, rest, value);
    changed
}

fn replace(place: &mut Value, path: &[String], value: Value) {
    let Some((first, rest)) = path.split_first() else {
        *place = value;
        return;
    };
    let child = match place {
        Value::Table(table) => table.get_mut(first),
        Value::Array(array) => first.parse().ok().and_then(|index: usize| array.get_mut(index)),
        _ => None,
    };
    replace(child.expect("the path is one of this description's"), rest, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_leaf_is_found_and_changed_alone() {
        let description: Table =
            "[a]\nb = [\"x\", { c = 1 }]\nd = true".parse().expect("it is TOML");
        let leaves = leaves(&description);
        let paths: Vec<String> = leaves.iter().map(|leaf| leaf.path.join(".")).collect();
        assert_eq!(paths, ["a.b.0", "a.b.1.c", "a.d"]);
        let changed = with(&description, &leaves[1].path, Value::from(2));
        assert_eq!(changed["a"]["b"][1]["c"].as_integer(), Some(2));
        assert_eq!(with(&changed, &leaves[1].path, Value::from(1)), description);
    }
}
