//! A simulated ESP chip, the firmware that it runs, and the port behind which real tools find it.
//!
//! This crate is the *other side* of a provisioning harness: it knows nothing of what the harness
//! planned, wrote or expects. What a simulated unit does follows from the bytes in its flash, from
//! its eFuses, from the faults that it was given, and from the [`World`] around it.
//!
//! # Layout
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`chip`] | what the silicon is: one data file for each chip, its registers and eFuses |
//! | [`flash`] | NOR flash: a write only clears bits, in memory or in a file; its encryption |
//! | [`layout`] | what lies in it: partition table and images |
//! | [`loader`] | the ROM loader and the stub loader, without any I/O |
//! | [`boot`] | from reset to the application: image chain, boot log |
//! | [`firmware`] | the application: packed into an image, found again in flash, and run |
//! | [`port`] | the serial port that a client opens |
//! | [`fault`] | every defect that a unit can be given, by name |
//! | [`world`] | the one trait through which a unit reaches anything outside itself |
//! | [`Stack`] | a world behind a wire: the unit's own TCP/IP, and Ethernet frames to a bench |
//! | [`Tampering`] | what changes a unit's flash behind its client's back |
//! | [`Entrance`] | a way from outside into the network that a unit opens |
//! | [`MachineNetwork`] | a world that is the machine's own network |
//! | [`simulator`] | all of it on a thread of its own |
#![forbid(unsafe_code)]

pub mod boot;
pub mod chip;
mod circuit;
mod damage;
mod entrance;
pub mod fault;
pub mod firmware;
pub mod flash;
mod hex;
mod journal;
pub mod layout;
pub mod loader;
mod machine;
mod network;
pub mod port;
pub mod simulator;
mod stack;
mod start;
mod tampering;
mod unit;
pub mod world;

pub use chip::efuse::Burnt;
pub use entrance::Entrance;
pub use fault::Fault;
pub use machine::MachineNetwork;
pub use network::{NetworkPort, Protocol};
pub use port::LinkError;
pub use simulator::{Config, Lines, Mode, Simulator, StartError};
pub use stack::Stack;
pub use tampering::Tampering;
pub use world::World;
