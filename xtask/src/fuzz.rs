//! `cargo xtask fuzz`: the NVS codec's seeded mutations, as many as there is time for.
//!
//! Needs no nightly and no cargo-fuzz; what is guided by coverage is told of in harness/nvs/fuzz.
//! Must not know what a mutation is: the tests of the codec do.

use crate::{
    Outcome,
    command::{cargo, run, section},
};

const DEFAULT_IMAGES: u64 = 20_000_000;
/// As in the run of every day.
const IMAGES_PER_CSV: u64 = 10;
const IMAGES_PER_DUMP: u64 = 50;

/// A target folder of its own: the other flags would make cargo build everything anew each time.
const TARGET: &str = "target/fuzz";

/// Runs the mutations of images, then those of CSVs and of dumps; `words` may hold how many images.
pub fn run_long(words: &[&str]) -> Outcome {
    let images = images(words)?;
    let csvs = images.div_ceil(IMAGES_PER_CSV);
    let dumps = images.div_ceil(IMAGES_PER_DUMP);
    section(&format!("{images} damaged images"), || {
        mutations("mutation::no_damaged_image_does_harm", images)
    })?;
    section(&format!("{csvs} damaged CSVs"), || {
        mutations("mutation::no_damaged_csv_does_harm", csvs)
    })?;
    section(&format!("{dumps} damaged dumps"), || {
        mutations("mutation::no_damaged_dump_does_harm", dumps)
    })
}

fn images(words: &[&str]) -> Result<u64, String> {
    let count = match words {
        [] => return Ok(DEFAULT_IMAGES),
        [count] => count.parse().ok().filter(|count| *count > 0),
        _ => None,
    };
    count.ok_or_else(|| format!("fuzz: {words:?}: expected a number of images from 1 up"))
}

fn mutations(test: &str, count: u64) -> Outcome {
    let mut tests = cargo(["test", "--release", "-p", "goldline-nvs", "--test", "codec"]);
    tests.args(["--target-dir", TARGET, "--", "--exact", test]);
    tests.env("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true");
    run(tests.env("GOLDLINE_MUTATIONS", count.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_a_number_from_1_up() {
        assert_eq!(images(&[]), Ok(20_000_000));
        assert_eq!(images(&["500"]), Ok(500));
        for words in [&["0"][..], &["many"], &["1", "2"]] {
            assert!(images(words).expect_err("refused").contains("from 1 up"));
        }
    }
}
