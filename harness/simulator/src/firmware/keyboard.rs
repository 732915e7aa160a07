//! What is typed into the serial port of a running firmware, line by line.
//!
//! Knows no commands. A line ends with CR, LF or both; its length is in bytes.

use tokio::sync::mpsc::UnboundedReceiver;

/// What a line may hold, as ESP-IDF's console sets it up.
const LONGEST_LINE: usize = 1024;

/// A line that is not empty, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Whole(Vec<u8>),
    /// What did not fit the buffer; nothing of it is kept, for half a command is another command.
    TooLong,
}

/// The bytes that arrive at the serial port.
pub(crate) struct Keyboard {
    input: UnboundedReceiver<Vec<u8>>,
    pending: Vec<u8>,
}

impl Keyboard {
    pub(crate) fn new(input: UnboundedReceiver<Vec<u8>>) -> Self {
        Self { input, pending: Vec::new() }
    }

    /// The next line that is not empty.
    pub(super) async fn line(&mut self) -> Line {
        let mut too_long = false;
        loop {
            if let Some(end) = self.pending.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
                let mut line: Vec<u8> = self.pending.drain(..=end).collect();
                line.pop();
                if too_long || line.len() > LONGEST_LINE {
                    return Line::TooLong;
                }
                if !line.is_empty() {
                    return Line::Whole(line);
                }
                continue;
            }
            if self.pending.len() > LONGEST_LINE {
                too_long = true;
                self.pending.clear();
            }
            match self.input.recv().await {
                Some(bytes) => self.pending.extend(bytes),
                None => std::future::pending().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyboard(parts: &[&str]) -> Keyboard {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        for part in parts {
            sender.send(part.as_bytes().to_vec()).unwrap();
        }
        Keyboard::new(receiver)
    }

    #[tokio::test]
    async fn a_line_ends_with_cr_lf_or_both() {
        let mut keyboard = keyboard(&["AT+", "RST\r\nAT\rA", "T2\n"]);
        for line in ["AT+RST", "AT", "AT2"] {
            assert_eq!(keyboard.line().await, Line::Whole(line.as_bytes().to_vec()));
        }
    }

    #[tokio::test]
    async fn of_a_line_that_is_too_long_nothing_is_kept() {
        let long = "x".repeat(LONGEST_LINE);
        let whole = format!("{long}x\nAT\n");
        let parts = [&long, &long, "restart\nAT\n", &whole, &long, "\n"];
        let mut keyboard = keyboard(&parts);
        for expected in [Line::TooLong, Line::Whole(b"AT".to_vec())].iter().cycle().take(4) {
            assert_eq!(keyboard.line().await, *expected);
        }
        assert_eq!(keyboard.line().await, Line::Whole(long.into_bytes()));
    }
}
