//! The serial ports of this machine: what hangs on each, who has it open, and which one somebody means.
//!
//! Reads what Linux tells in `/sys`, `/dev` and `/proc`; opens no port. Must not know the loader's protocol.

mod accounts;
mod bridge;
mod choice;
pub(super) mod claim;
mod holder;
mod inventory;
mod machine;
pub(super) mod socket;

pub use bridge::{Known, MAKERS, known};
pub use choice::{Asked, ChoiceError, Chosen, choose, find_unit, only_candidate};
pub use holder::{Holder, Holders, How, holders};
pub(super) use inventory::is_serial_jtag;
pub use inventory::{Port, UsbPlace, serial_ports};
pub use machine::Machine;
