//! The library by its parts: what they make of their input, and what they do over loopback.
//!
//! One binary for all of it, since each links everything that the library stands on.

mod bindings;
#[path = "../builds/mod.rs"]
mod build_folders;
mod builds;
mod carried;
#[path = "../certificates/mod.rs"]
mod certificates;
mod checks;
#[path = "../client/mod.rs"]
mod client;
mod coverage;
mod fuses;
mod images;
mod profile;
mod proving;
mod qc_parts;
mod radio;
mod regression;
mod security;
mod symbols;
#[path = "../testbed/mod.rs"]
mod testbed;
mod unit_log;
