//! What becomes of a flash behind its client's back, by whatever changes bytes.
//!
//! The faults by name are those that every product can have; this is for who knows what lies in the flash.

use std::fmt;
use std::sync::Arc;

/// Changes the cells of a flash chip once a client has written it.
///
/// It is called with everything on the chip at each look at the flash (a digest, a read, a boot) that follows a
/// client's END, until it changed something: then it says at which offset, the first. When that sector is erased again,
/// it is called again. A tampering that always says `None` only looks.
#[derive(Clone)]
pub struct Tampering(Arc<Change>);

type Change = dyn Fn(&mut [u8]) -> Option<u32> + Send + Sync;

impl Tampering {
    /// Whatever changes the cells.
    pub fn new(change: impl Fn(&mut [u8]) -> Option<u32> + Send + Sync + 'static) -> Self {
        Self(Arc::new(change))
    }

    /// Changes them, and says where the first of them lies; `None` when nothing was changed.
    pub fn change(&self, cells: &mut [u8]) -> Option<u32> {
        (self.0)(cells)
    }
}

impl fmt::Debug for Tampering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tampering")
    }
}
