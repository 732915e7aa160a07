//! Holds nothing: `tests/unit.rs` provisions a unit with the firmware of this repository and proves it.
