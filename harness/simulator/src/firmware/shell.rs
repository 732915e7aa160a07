//! The firmware's console: lines that are typed into its serial port, and what it answers.
//!
//! Commands, arguments and answers are data of the description; what a command does is one of few
//! actions. Settings that a command stores reach flash at once, as `nvs_commit` does.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::console::Console;
use super::description::{Action, ConsoleCommand, ConsoleSection, Description};
use super::settings::Settings;
use super::storage::{NvsError, NvsKeys, Storage, store};
use crate::boot::ResetReason;
use crate::boot::partitions::PartitionTable;
use crate::chip::Chip;
use crate::fault::{Fault, Faults};

/// What a line may hold, as ESP-IDF's console sets it up.
const LONGEST_LINE: usize = 1024;
/// How long a firmware waits for its network before it says that it has none.
const JOIN_LIMIT: Duration = Duration::from_secs(5);
/// How late the answers of a late console are.
const LATE: Duration = Duration::from_secs(8);
/// Between the last answer and the restart that it announces.
const BEFORE_RESTART: Duration = Duration::from_millis(20);

/// What the console asks of the rest of the firmware.
pub(super) enum Order {
    /// Join with these settings; the answer says whether that came about.
    Join(Settings, oneshot::Sender<bool>),
    /// Send the installer's alert.
    Alert,
}

/// The bytes that arrive at the serial port, line by line.
pub(crate) struct Keyboard {
    input: UnboundedReceiver<Vec<u8>>,
    pending: Vec<u8>,
}

impl Keyboard {
    pub(crate) fn new(input: UnboundedReceiver<Vec<u8>>) -> Self {
        Self { input, pending: Vec::new() }
    }

    /// The next line that is not empty, without its end: CR, LF or both.
    async fn line(&mut self) -> Vec<u8> {
        loop {
            if let Some(end) = self.pending.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
                let mut line: Vec<u8> = self.pending.drain(..=end).collect();
                line.pop();
                if !line.is_empty() {
                    return line;
                }
                continue;
            }
            match self.input.recv().await {
                Some(bytes) => self.pending.extend(bytes),
                None => std::future::pending().await,
            }
            // A line that never ends is cut, as a line buffer cuts it.
            if self.pending.len() > LONGEST_LINE {
                self.pending.truncate(LONGEST_LINE);
                self.pending.push(b'\n');
            }
        }
    }
}

/// The console of one firmware.
pub(super) struct Shell<'a, 'c> {
    pub(super) description: &'a Description,
    pub(super) section: &'a ConsoleSection,
    pub(super) table: &'a PartitionTable,
    pub(super) chip: &'a RefCell<&'c mut Chip>,
    pub(super) keys: Option<NvsKeys>,
    pub(super) faults: &'a Faults,
    pub(super) orders: UnboundedSender<Order>,
    pub(super) settings: Settings,
}

/// What a command came to.
enum Outcome {
    Answer(Vec<String>),
    Restart(Vec<String>),
}

impl Shell<'_, '_> {
    /// Answers lines until one of them restarts the chip.
    pub(super) async fn run(mut self, keyboard: &mut Keyboard, console: &Console) -> ResetReason {
        loop {
            let line = keyboard.line().await;
            if self.section.echo {
                console.raw(&format!(
                    "{}{}\r\n",
                    self.section.prompt,
                    String::from_utf8_lossy(&line)
                ));
            }
            match self.obey(&line).await {
                Outcome::Answer(lines) => self.say(&lines, console).await,
                Outcome::Restart(lines) => {
                    self.say(&lines, console).await;
                    sleep(BEFORE_RESTART).await;
                    return ResetReason::Software;
                }
            }
        }
    }

    async fn obey(&mut self, line: &[u8]) -> Outcome {
        let Ok(line) = std::str::from_utf8(line) else {
            return Outcome::Answer(vec![self.section.unknown.clone()]);
        };
        let Some((command, words)) = self.command_of(line) else {
            return Outcome::Answer(vec![self.section.unknown.clone()]);
        };
        let command = command.clone();
        let Some(given) = given(&command, &words) else {
            return Outcome::Answer(command.usage.iter().cloned().collect());
        };
        if let Some(name) = self.too_long(&given) {
            let error = NvsError::InvalidLength;
            return Outcome::Answer(vec![format!("{}: {name}: {error}", self.section.failure)]);
        }
        if command.requires.iter().any(|name| self.settings.value(name).is_empty()) {
            return Outcome::Answer(command.reply_missing.clone());
        }
        self.act(&command, given).await
    }

    async fn act(&mut self, command: &ConsoleCommand, given: BTreeMap<String, String>) -> Outcome {
        let mut restart = false;
        for action in &command.actions {
            let done = match action {
                Action::Store => self.store(&given),
                Action::Mark => self.store(&command.marks),
                Action::Erase => self.erase(),
                Action::Join => {
                    if !self.join().await {
                        return Outcome::Answer(command.reply_failed.clone());
                    }
                    Ok(())
                }
                Action::Alert => {
                    // The broker's side is gone only when the chip is being reset.
                    let _ = self.orders.send(Order::Alert);
                    Ok(())
                }
                Action::Restart => {
                    restart = true;
                    Ok(())
                }
            };
            if let Err(error) = done {
                return Outcome::Answer(vec![format!("{}: {error}", self.section.failure)]);
            }
        }
        let lines = command.reply.iter().map(|line| self.settings.fill(line)).collect();
        if restart { Outcome::Restart(lines) } else { Outcome::Answer(lines) }
    }

    async fn join(&self) -> bool {
        let (sender, done) = oneshot::channel();
        if self.orders.send(Order::Join(self.settings.clone(), sender)).is_err() {
            return false;
        }
        matches!(timeout(JOIN_LIMIT, done).await, Ok(Ok(true)))
    }

    /// Writes values into NVS and keeps them for what comes after.
    fn store(&mut self, values: &BTreeMap<String, String>) -> Result<(), NvsError> {
        if !self.faults.has(Fault::FirmwareSaveFailed) {
            let mut chip = self.chip.borrow_mut();
            let (wanted, keys) = (&self.description.settings, self.keys.as_ref());
            store(wanted, self.table, &mut chip.flash, keys, values)?;
        }
        self.settings.put(values);
        Ok(())
    }

    /// A factory reset: the sectors are erased, or, in a careless firmware, only the entries.
    fn erase(&mut self) -> Result<(), NvsError> {
        let wanted = &self.description.settings;
        let partition =
            self.table.labelled(&wanted.partition).ok_or(NvsError::PartitionNotFound)?;
        let mut chip = self.chip.borrow_mut();
        if self.faults.has(Fault::FirmwareResetLeavesCredentials) {
            let mut storage = Storage::open(partition, &chip.flash, self.keys.as_ref())?;
            for setting in wanted.values.values() {
                storage.remove(&wanted.namespace, &setting.key)?;
            }
            storage.close(&mut chip.flash);
        } else {
            chip.flash
                .erase(partition.offset, partition.size)
                .map_err(|_| NvsError::PartitionNotFound)?;
        }
        self.settings = Settings::default();
        Ok(())
    }

    fn too_long(&self, given: &BTreeMap<String, String>) -> Option<String> {
        let limit = |name: &String| self.description.settings.values.get(name);
        given
            .iter()
            .find(|(name, value)| {
                limit(name).is_some_and(|setting| value.len() > setting.max_bytes)
            })
            .map(|(name, _)| name.clone())
    }

    /// The command of a line and its words; an assignment takes the rest of the line as it is.
    fn command_of(&self, line: &str) -> Option<(&ConsoleCommand, Vec<String>)> {
        for command in &self.section.command {
            if command.name.ends_with('=') {
                if let Some(rest) = line.strip_prefix(&command.name) {
                    return Some((command, vec![rest.to_owned()]));
                }
                continue;
            }
            let words = split(line, self.section.quoting);
            let name: Vec<&str> = command.name.split(' ').collect();
            if words.len() >= name.len() && words.iter().zip(&name).all(|(word, name)| word == name)
            {
                return Some((command, words[name.len()..].to_vec()));
            }
        }
        None
    }

    async fn say(&self, lines: &[String], console: &Console) {
        if self.faults.has(Fault::FirmwareConsoleSilent) {
            return;
        }
        if self.faults.has(Fault::FirmwareConsoleLate) {
            sleep(LATE).await;
        }
        for line in lines {
            if self.faults.has(Fault::FirmwareConsoleGarbled) {
                let garbled: String = line
                    .chars()
                    .enumerate()
                    .map(|(at, c)| if at % 3 == 1 { '#' } else { c })
                    .collect();
                console.raw(&format!("{garbled}\r\n"));
            } else if self.faults.has(Fault::FirmwareConsoleInterleaved) {
                let middle = (0..=line.len() / 2).rev().find(|at| line.is_char_boundary(*at));
                let (start, end) = line.split_at(middle.unwrap_or(0));
                console.raw(&format!("{start}\r\n"));
                console.warn("wifi", "scan in progress");
                console.raw(&format!("{end}\r\n"));
            } else {
                console.raw(&format!("{line}\r\n"));
            }
        }
    }
}

/// The values of a command's arguments by setting; `None` when they are not the right ones.
fn given(command: &ConsoleCommand, words: &[String]) -> Option<BTreeMap<String, String>> {
    let mut values = BTreeMap::new();
    let mut rest = words.iter();
    for (option, setting) in &command.options {
        let at = words.iter().position(|word| word == option)?;
        values.insert(setting.clone(), words.get(at + 1)?.clone());
    }
    if !command.options.is_empty() {
        return (words.len() == 2 * command.options.len()).then_some(values);
    }
    for argument in &command.arguments {
        let word = rest.next()?;
        if argument.starts_with('-') {
            if word != argument {
                return None;
            }
        } else {
            values.insert(argument.clone(), word.clone());
        }
    }
    rest.next().is_none().then_some(values)
}

/// Splits at spaces; with quoting as `esp_console_split_argv` does: double quotes hold a word
/// together, a backslash takes the next character as it is.
fn split(line: &str, quoting: bool) -> Vec<String> {
    if !quoting {
        return line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    }
    let (mut words, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), false, false);
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                word.extend(characters.next());
                begun = true;
            }
            '"' => {
                quoted = !quoted;
                begun = true;
            }
            ' ' if !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            other => {
                word.push(other);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_the_console_of_esp_idf_does() {
        assert_eq!(split("set  a b ", false), ["set", "a", "b"]);
        assert_eq!(split(r#"set "a b" "" c\ d \"e"#, true), ["set", "a b", "", "c d", "\"e"]);
        assert_eq!(split(r#"set "a b""#, false), ["set", "\"a", "b\""]);
    }

    #[tokio::test]
    async fn a_line_ends_with_cr_lf_or_both() {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        let mut keyboard = Keyboard::new(receiver);
        for part in ["AT+", "RST\r\nAT\rA", "T2\n"] {
            sender.send(part.as_bytes().to_vec()).unwrap();
        }
        for line in ["AT+RST", "AT", "AT2"] {
            assert_eq!(keyboard.line().await, line.as_bytes());
        }
    }
}
