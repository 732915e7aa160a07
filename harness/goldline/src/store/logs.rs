//! `logs/`: what a run's unit printed, beside its record.
//!
//! A log holds no secret when it comes here. One that is long is kept at its start and at its end.

use std::{fs, io, path::PathBuf};

use uuid::Uuid;

use super::{StateDirectory, StoreError, at, make_private_folder, write_private};

/// Bytes of a log that are kept at its start and at its end.
const START: usize = 192 << 10;
const END: usize = 64 << 10;

impl StateDirectory {
    /// Keeps the serial log of a run.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it cannot be written.
    pub fn keep_log(&self, run_id: Uuid, text: &str) -> Result<(), StoreError> {
        make_private_folder(&self.root.join("logs"))?;
        write_private(&self.log_of(run_id), bounded(text).as_bytes())
    }

    /// The serial log of a run; `None` for a run that left none.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it cannot be read.
    pub fn log(&self, run_id: Uuid) -> Result<Option<String>, StoreError> {
        let path = self.log_of(run_id);
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => Ok(Some(String::from_utf8_lossy(&read.map_err(at(&path))?).into_owned())),
        }
    }

    fn log_of(&self, run_id: Uuid) -> PathBuf {
        self.root.join("logs").join(format!("{run_id}.log"))
    }
}

/// Whole lines, and a word where some are missing.
fn bounded(text: &str) -> String {
    if text.len() <= START + END {
        return text.to_owned();
    }
    let line_end = |at: usize| text.as_bytes()[at..].iter().position(|byte| *byte == b'\n');
    let start = text.as_bytes()[..START].iter().rposition(|byte| *byte == b'\n');
    let start = start.map_or(0, |at| at + 1);
    let end = line_end(text.len() - END).map_or(text.len(), |at| text.len() - END + at + 1);
    let missing = end - start;
    format!("{}[{missing} bytes were not kept]\n{}", &text[..start], &text[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_keeps_its_start_and_its_end() {
        let line = |number: usize| format!("{number:8} said by the unit\n");
        let text: String = (0..20_000).map(line).collect();
        let kept = bounded(&text);
        assert!(kept.len() <= START + END + 60, "{}", kept.len());
        assert!(kept.starts_with(&line(0)) && kept.ends_with(&line(19_999)));
        let (before, behind) = kept.split_once('[').expect("a gap");
        let (missing, behind) = behind.split_once(" bytes were not kept]\n").expect("a gap");
        assert_eq!(
            before.len() + behind.len() + missing.parse::<usize>().expect("a count"),
            text.len()
        );
        assert!(before.ends_with('\n') && behind.starts_with(' '), "only whole lines");
        let short: String = (0..1000).map(line).collect();
        assert_eq!(bounded(&short), short);
    }

    /// A single line that is longer than all that is kept.
    #[test]
    fn a_line_without_an_end_is_not_kept() {
        assert_eq!(bounded(&"ä".repeat(START)), "[393216 bytes were not kept]\n");
    }
}
