//! The `goldline` program as it is called: one binary for all of its commands.

#[path = "../emulators/mod.rs"]
mod emulators;
#[path = "../end_to_end/mod.rs"]
mod end_to_end;
#[path = "../nvs_cli/mod.rs"]
mod nvs_cli;
#[path = "../proof/mod.rs"]
mod proof;
#[path = "../registry/mod.rs"]
mod registry;
