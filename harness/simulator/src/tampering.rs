//! What becomes of a flash behind its client's back, by whatever changes bytes.
//!
//! The faults by name are those that every product can have; this is for who knows what lies in the flash.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Changes the cells of a flash chip once a client has written it.
///
/// It is called with everything on the chip at each look at the flash (a digest, a read, a boot) that follows a
/// client's END, until it changed something: then it says at which offset, the first. When that sector is no longer as it
/// was left, whoever wrote it, it is called again. A tampering that always says `None` only looks.
#[derive(Clone)]
pub struct Tampering {
    change: Arc<Change>,
    watched: Option<Range<u32>>,
}

type Change = dyn Fn(&mut [u8]) -> Option<u32> + Send + Sync;

impl Tampering {
    /// Whatever changes the cells.
    pub fn new(change: impl Fn(&mut [u8]) -> Option<u32> + Send + Sync + 'static) -> Self {
        Self { change: Arc::new(change), watched: None }
    }

    /// With more than a sector that must stay as it was left: offsets from the start of the flash, inside of it.
    #[must_use]
    pub fn watching(self, watched: Range<u32>) -> Self {
        Self { watched: Some(watched), ..self }
    }

    /// Changes them, and says where the first of them lies; `None` when nothing was changed.
    pub fn change(&self, cells: &mut [u8]) -> Option<u32> {
        (self.change)(cells)
    }

    /// What must stay as it was left, if more than the first sector that it changed.
    pub fn watched(&self) -> Option<Range<u32>> {
        self.watched.clone()
    }
}

impl fmt::Debug for Tampering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tampering")
    }
}
