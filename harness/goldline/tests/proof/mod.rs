//! How many verdicts are wrong, of how many: sweeps that take longer than a CI has, run by night and by name
//! with `cargo xtask test --nightly`.
//!
//! What each run must come to is written from what its fault means (`meaning.rs`), never from what a run
//! said. Each sweep prints its figures, and fails when a single verdict is wrong.

mod damages;
mod elsewhere;
mod kills;
mod load;
mod matrix;
mod meaning;
mod pairs;
mod sweep;
mod wire;
