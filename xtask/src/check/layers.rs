//! Which modules of a crate may import which: the direction of the data, written down once.
//!
//! `harness/goldline/src/lib.rs` explains the harness's to people. A module may import from the layers
//! below its own, and from a neighbour of its own layer only where [`Layers::neighbours`] says so.

use std::collections::BTreeSet;

/// The layers of one crate.
pub struct Layers {
    /// Its name.
    pub crate_name: &'static str,
    /// Its sources, below the repository's root.
    pub sources: &'static str,
    /// The lowest layer first: modules right below the crate's root.
    layers: &'static [&'static [&'static str]],
    /// Imports between two modules of one layer, each with the reason why it is allowed.
    neighbours: &'static [(&'static str, &'static str)],
}

/// Every crate that has layers.
pub const CRATES: [Layers; 4] = [
    Layers {
        crate_name: "goldline",
        sources: "harness/goldline/src",
        layers: &[
            &["clock", "esp_image", "hex", "identity", "output_file", "process", "secret"],
            &["build"],
            &["profile", "record", "simulated", "tls"],
            &["client", "device", "image", "jig", "registry", "testbed"],
            &["check", "gauge", "plan", "security"],
            &["bench"],
            &["engine"],
            &["draft", "report", "store"],
            &["station"],
            &["prove"],
            &["cli"],
            &["main"],
        ],
        neighbours: &[
            // A check compares what was observed with the bound plan.
            ("check", "plan"),
            // One comparison of fuses with a demand serves the check and the commands that mend it.
            ("check", "security"),
            // Digests, fingerprints and addresses are shown as digits.
            ("identity", "hex"),
            ("secret", "hex"),
            // A derived password is a secret from the moment it exists.
            ("identity", "secret"),
            // A profile declares the limits that a measurement is recorded with.
            ("profile", "record"),
            // It gives a profile's chip its model.
            ("simulated", "profile"),
            // The bench calls its own services over connections that the testbed opens, and announces.
            ("testbed", "client"),
        ],
    },
    NVS,
    RECORD,
    SIMULATOR,
];

impl Layers {
    /// What is wrong with the table itself: a module without a layer, a row without a module.
    pub fn mismatches(&self, modules: &BTreeSet<&str>) -> Vec<String> {
        let table = "the table of xtask/src/check/layers.rs";
        let named = self.layers.iter().flat_map(|layer| layer.iter()).copied();
        let missing = modules.iter().filter(|module| self.layer(module).is_none());
        let missing = missing.map(|module| {
            format!("{}: module \"{module}\" is not in {table}: give it a layer", self.sources)
        });
        let gone = named.filter(|module| !modules.contains(module)).map(|module| {
            format!("{}: there is no module \"{module}\": take it out of {table}", self.sources)
        });
        missing.chain(gone).collect()
    }

    /// Says why `from` may not import `to`; `None` when it may, or when the table does not know one of them.
    pub fn refusal(&self, from: &str, to: &str) -> Option<String> {
        let (own, other) = (self.layer(from)?, self.layer(to)?);
        if from == to || other < own || (other == own && self.are_neighbours(from, to)) {
            return None;
        }
        let direction = if other > own { "upward" } else { "sideways" };
        Some(format!("{from} (layer {own}) imports {direction} from {to} (layer {other})"))
    }

    fn layer(&self, module: &str) -> Option<usize> {
        self.layers.iter().position(|modules| modules.contains(&module))
    }

    fn are_neighbours(&self, from: &str, to: &str) -> bool {
        self.neighbours.contains(&(from, to))
    }
}

const NVS: Layers = Layers {
    crate_name: "goldline_nvs",
    sources: "harness/nvs/src",
    layers: &[
        &["limits", "text", "value"],
        &["fingerprint", "format", "key"],
        &["image", "keys", "record"],
        &["device", "identify", "secret", "usage"],
        &["check", "crypt", "diff", "document", "dump", "snapshot"],
        &["generate", "recover", "repair"],
        &["edit", "leftover", "salvage"],
        &["space"],
    ],
    neighbours: &[],
};

const RECORD: Layers = Layers {
    crate_name: "goldline_record",
    sources: "harness/record/src",
    layers: &[&["verdict"], &["record"], &["expectation", "program"]],
    neighbours: &[],
};

const SIMULATOR: Layers = Layers {
    crate_name: "goldline_simulator",
    sources: "harness/simulator/src",
    layers: &[
        &["fault", "hex", "journal", "tampering", "world"],
        &["entrance", "flash", "machine", "stack"],
        &["layout"],
        &["damage"],
        &["chip"],
        &["boot", "loader", "port"],
        &["firmware", "start"],
        &["circuit"],
        &["unit"],
        &["simulator"],
        &["network"],
    ],
    neighbours: &[],
};

#[cfg(test)]
mod tests {
    use super::*;

    const HARNESS: &Layers = &CRATES[0];

    #[test]
    fn imports_point_down() {
        assert_eq!(HARNESS.refusal("cli", "identity"), None);
        assert_eq!(HARNESS.refusal("engine", "engine"), None);
        let upward = HARNESS.refusal("plan", "engine").expect("refused");
        assert_eq!(upward, "plan (layer 4) imports upward from engine (layer 6)");
    }

    #[test]
    fn neighbours_are_named_one_way() {
        assert_eq!(HARNESS.refusal("check", "plan"), None);
        let sideways = HARNESS.refusal("plan", "check").expect("refused");
        assert_eq!(sideways, "plan (layer 4) imports sideways from check (layer 4)");
    }

    #[test]
    fn the_table_names_every_module_and_no_other() {
        let all = HARNESS.layers.iter().flat_map(|layer| layer.iter()).copied();
        let mut modules: BTreeSet<&str> = all.collect();
        assert_eq!(HARNESS.mismatches(&modules), [""; 0]);
        modules.insert("helpers");
        modules.remove("clock");
        let found = HARNESS.mismatches(&modules);
        assert_eq!(found.len(), 2);
        assert!(found[0].contains("\"helpers\" is not in the table"), "{found:?}");
        assert!(found[1].contains("there is no module \"clock\""), "{found:?}");
    }

    #[test]
    fn neighbours_stand_in_one_layer_and_in_no_circle() {
        for layers in &CRATES {
            for (from, to) in layers.neighbours {
                assert!(layers.layer(from).is_some(), "{from} has no layer");
                assert_eq!(layers.layer(from), layers.layer(to), "{from} and {to}");
                assert!(!layers.are_neighbours(to, from), "{from} and {to} import each other");
            }
        }
    }
}
