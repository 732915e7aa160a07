//! What lies in a flash, as the ROM and the bootloader read it: partition table and images.
//!
//! Must not know of a chip: whether the flash is encrypted is settled by who looks.

pub mod image;
pub mod partitions;
