//! Goldline provisions an ESP32, starts the services it must reach, and proves that the unit is good.
//!
//! # Layout
//!
//! Data flows one way: profile → plan → device → observations → checks → verdict → record.
//! Imports point down only, and `cargo xtask check` fails on one that points up:
//!
//! | layer | modules | what for |
//! | --- | --- | --- |
//! | 9 | `cli` | arguments, exit codes, the only place that knows clap and miette |
//! | 8 | `prove` | bad units of a product, and which of them its test lets through |
//! | 7 | `station` | orders, values of a unit, leases, refusals: what is decided about runs |
//! | 6 | `report`, `store`, `draft` | read events and records: terminal, state directory; a profile drafted from a build |
//! | 5 | `engine` | the only interpreter of a plan's steps |
//! | 4 | `bench` | what units must reach, lent to runs; does as a unit should, to tell whose fault a failure is |
//! | 3 | `check`, `gauge`, `plan`, `security` | judge observations; judge the judging by records of it; turn a profile into steps; what security fuses mean |
//! | 2 | `device`, `jig`, `testbed`, `client`, `image`, `registry` | the unit, what measures it, what it must reach, what the bench calls, what is flashed, where it is listed |
//! | 1 | [`profile`], [`record`], `simulated`, `tls` | one product's description; everything about one run; the simulator's chip for a profile's; whom the bench trusts |
//! | 0 | [`identity`], [`secret`], [`clock`], [`hex`](mod@hex), [`process`], [`output_file`], [`build`] | words that everything shares; files that a user named; what a build system left |

pub mod bench;
pub mod build;
pub mod check;
pub mod cli;
pub mod client;

pub mod clock;
pub mod device;
pub mod draft;
pub mod engine;
mod esp_image;
pub mod gauge;
pub mod hex;
pub mod identity;
pub mod image;
pub mod jig;
pub mod output_file;
pub mod plan;
pub mod process;
pub mod profile;
pub mod prove;
pub mod record;
pub mod registry;
pub mod report;
pub mod secret;
pub mod security;
pub mod simulated;
pub mod station;
pub mod store;
pub mod testbed;
pub mod tls;
