//! The layers of the harness: which module of harness/goldline/src may import which other one.
//!
//! The table is the rule; `lib.rs` of the harness explains it to people. A module may import from
//! the layers below its own, and from a neighbour of its own layer only where [`NEIGHBOURS`] says so.

/// Modules with the layer that they belong to; the root of the binary stands above all.
const LAYERS: &[(u8, &[&str])] = &[
    (9, &["main"]),
    (8, &["cli"]),
    (7, &["station"]),
    (6, &["report", "store"]),
    (5, &["engine"]),
    (4, &["bench"]),
    (3, &["check", "plan"]),
    (2, &["client", "device", "image", "registry", "testbed"]),
    (1, &["profile", "record"]),
    (0, &["clock", "identity", "output_file", "process", "secret"]),
];

/// Imports between two modules of one layer, each with the reason why it is allowed.
const NEIGHBOURS: &[(&str, &str)] = &[
    // A check compares what was observed with the bound plan.
    ("check", "plan"),
    // A derived password is a secret from the moment it exists.
    ("identity", "secret"),
    // A profile declares the limits that a measurement is recorded with.
    ("profile", "record"),
    // The bench calls its own services over connections that the testbed opens, and announces.
    ("testbed", "client"),
];

/// Says what is wrong with a module that the table does not name; `None` when it does.
pub fn unknown(module: &str) -> Option<String> {
    layer(module).is_none().then(|| {
        format!(
            "module \"{module}\" is not in the table of xtask/src/check/layers.rs: give it a layer"
        )
    })
}

/// Says why `from` may not import `to`; `None` when it may.
pub fn refusal(from: &str, to: &str) -> Option<String> {
    if from == to {
        return None;
    }
    let (Some(own), Some(other)) = (layer(from), layer(to)) else {
        return unknown(from).or_else(|| unknown(to));
    };
    if other < own || (other == own && are_neighbours(from, to)) {
        return None;
    }
    let direction = if other > own { "upward" } else { "sideways" };
    Some(format!("{from} (layer {own}) imports {direction} from {to} (layer {other})"))
}

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(_, modules)| modules.contains(&module)).map(|(layer, _)| *layer)
}

fn are_neighbours(from: &str, to: &str) -> bool {
    NEIGHBOURS.contains(&(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_point_down() {
        assert_eq!(refusal("cli", "identity"), None);
        assert_eq!(refusal("engine", "engine"), None);
        let upward = refusal("plan", "engine").expect("refused");
        assert_eq!(upward, "plan (layer 3) imports upward from engine (layer 5)");
    }

    #[test]
    fn neighbours_are_named_one_way() {
        assert_eq!(refusal("check", "plan"), None);
        let sideways = refusal("plan", "check").expect("refused");
        assert_eq!(sideways, "plan (layer 3) imports sideways from check (layer 3)");
    }

    #[test]
    fn a_module_without_a_layer_is_refused() {
        for (from, to) in [("engine", "helpers"), ("helpers", "clock")] {
            assert!(
                refusal(from, to).expect("refused").contains("\"helpers\" is not in the table")
            );
        }
    }

    #[test]
    fn neighbours_stand_in_one_layer_and_in_no_circle() {
        for (from, to) in NEIGHBOURS {
            assert!(layer(from).is_some(), "{from} has no layer");
            assert_eq!(layer(from), layer(to), "{from} and {to}");
            assert!(!are_neighbours(to, from), "{from} and {to} import each other");
        }
    }
}
