//! Units in emulators: the stand-ins are as the real ones were recorded, and the harness runs units in both.
//!
//! The stand-ins are built with the examples; a real QEMU is used where `GOLDLINE_TEST_QEMU` names its folder.

mod qemu;
mod reference;
mod transcripts;
mod units;
