//! The Ethernet interface: what the stack and the link exchange.

use std::collections::VecDeque;

use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::time::Instant;
use tokio::sync::mpsc;

/// Addresses, type and 1500 bytes.
const LONGEST_FRAME: usize = 1514;

/// The unit's end of the link, or of none.
#[derive(Debug, Default)]
pub(super) struct Device {
    /// Frames that came and were not looked at yet.
    pub(super) incoming: VecDeque<Vec<u8>>,
    /// Without it, what is sent is lost.
    pub(super) link: Option<mpsc::Sender<Vec<u8>>>,
    /// Whether the stack has more to send than the link takes now.
    pub(super) is_blocked: bool,
}

impl Device {
    fn has_room(&mut self) -> bool {
        let full = self.link.as_ref().is_some_and(|link| link.capacity() == 0);
        self.is_blocked |= full;
        !full
    }

    fn sender(&self) -> Sender {
        Sender(self.link.clone())
    }
}

impl phy::Device for Device {
    type RxToken<'a> = Frame;
    type TxToken<'a> = Sender;

    fn receive(&mut self, _: Instant) -> Option<(Frame, Sender)> {
        // What comes may have to be answered.
        if self.incoming.is_empty() || !self.has_room() {
            return None;
        }
        let frame = self.incoming.pop_front()?;
        Some((Frame(frame), self.sender()))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sender> {
        self.has_room().then(|| self.sender())
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = LONGEST_FRAME;
        capabilities
    }
}

/// A frame that came.
pub(super) struct Frame(Vec<u8>);

impl phy::RxToken for Frame {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

/// Leave to send one frame.
pub(super) struct Sender(Option<mpsc::Sender<Vec<u8>>>);

impl phy::TxToken for Sender {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut frame = vec![0; length];
        let result = write(&mut frame);
        if let Some(link) = self.0 {
            // There was room; a link that was lost since loses the frame.
            let _ = link.try_send(frame);
        }
        result
    }
}
