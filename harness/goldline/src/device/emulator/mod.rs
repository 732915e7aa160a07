//! What is the same of every emulator: how its program is found, the file that is its unit's flash, the console
//! that outlives its process, a boot that hangs, and the unit of them all, whose flash is written from outside.
//!
//! Must not know the arguments or the control channel of any of them.

pub(super) mod boots;
pub(super) mod carrier;
pub(super) mod flash;
pub(super) mod program;
pub(super) mod unit;
