//! The firmware's console: lines that are typed into its serial port, and what it answers.
//!
//! Commands, arguments and answers are data of the description; what a command does is one of few
//! actions. Settings that a command stores reach flash at once, as `nvs_commit` does.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::console::Console;
use super::description::{Action, ConsoleCommand, ConsoleSection, Description};
use super::keyboard::{Keyboard, Line};
use super::nvs_error::NvsError;
use super::nvs_keys::NvsKeys;
use super::settings::Settings;
use super::storage::{Storage, store};
use super::trust;
use crate::boot::ResetReason;
use crate::chip::Chip;
use crate::fault::{Fault, Faults};
use crate::layout::partitions::PartitionTable;

/// How long a firmware waits for its network before it says that it has none.
const JOIN_LIMIT: Duration = Duration::from_secs(5);
/// How late the answers of a late console are.
const LATE: Duration = Duration::from_secs(8);
/// Longer than any PEM text that a setting holds.
const LONGEST_PEM: usize = 4000;
/// Between the last answer and the restart that it announces.
const BEFORE_RESTART: Duration = Duration::from_millis(20);

/// What the console asks of the rest of the firmware.
pub(super) enum Order {
    /// Join with these settings; the answer says whether that came about.
    Join(Settings, oneshot::Sender<bool>),
    /// Send the installer's alert.
    Alert,
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
    /// Whether there is an address in a network now.
    pub(super) joined: &'a Cell<bool>,
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
            if !self.section.prompt.is_empty() {
                console.raw(&self.section.prompt);
            }
            let line = match keyboard.line().await {
                Line::Whole(line) => line,
                Line::TooLong => {
                    let refused = format!("{}: line too long", self.section.failure);
                    self.say(&[refused], console).await;
                    continue;
                }
            };
            if self.section.echo {
                console.raw(&format!("{}\r\n", String::from_utf8_lossy(&line)));
            }
            match self.obey(&line, keyboard, console).await {
                Outcome::Answer(lines) => self.say(&lines, console).await,
                Outcome::Restart(lines) => {
                    self.say(&lines, console).await;
                    sleep(BEFORE_RESTART).await;
                    return ResetReason::Software;
                }
            }
        }
    }

    async fn obey(&mut self, line: &[u8], keyboard: &mut Keyboard, console: &Console) -> Outcome {
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
        let Some(setting) = &command.pem else {
            return self.act(&command, given).await;
        };
        self.say(&command.reply, console).await;
        Outcome::Answer(self.take_pem(setting, &command, keyboard).await)
    }

    /// Stores the PEM text of the next lines, which nothing echoes: it may be a private key.
    async fn take_pem(
        &mut self,
        setting: &str,
        command: &ConsoleCommand,
        keyboard: &mut Keyboard,
    ) -> Vec<String> {
        let refuse = |why: &str| vec![format!("{}: {setting}: {why}", self.section.failure)];
        let mut text = String::new();
        loop {
            let Line::Whole(line) = keyboard.line().await else {
                return refuse("line too long");
            };
            let Ok(line) = std::str::from_utf8(&line) else {
                return refuse("not PEM text");
            };
            if text.is_empty() && !line.starts_with("-----BEGIN ") {
                return refuse("not PEM text");
            }
            // Past its limit the text is not kept, but read to its end: it is no commands.
            if text.len() <= LONGEST_PEM {
                text.push_str(line);
                text.push('\n');
            }
            if line.starts_with("-----END ") {
                break;
            }
        }
        if !trust::is_pem(&text) && text.len() <= LONGEST_PEM {
            return refuse("not PEM text");
        }
        let values = BTreeMap::from([(setting.to_owned(), text)]);
        if self.too_long(&values).is_some() {
            return refuse(&NvsError::InvalidLength.to_string());
        }
        match self.store(&values) {
            Ok(()) => self.filled(&command.reply_stored),
            Err(error) => vec![format!("{}: {error}", self.section.failure)],
        }
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
                Action::CheckJoined => {
                    if !self.joined.get() {
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
        let lines = self.filled(&command.reply);
        if restart { Outcome::Restart(lines) } else { Outcome::Answer(lines) }
    }

    fn filled(&self, lines: &[String]) -> Vec<String> {
        lines.iter().map(|line| self.settings.fill(line)).collect()
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
        let first = (1 + self.faults.pick(Fault::FirmwareConsoleGarbled, 3) as usize) % 3;
        for line in lines {
            if self.faults.has(Fault::FirmwareConsoleGarbled) {
                let garbled: String = line
                    .chars()
                    .enumerate()
                    .map(|(at, c)| if at % 3 == first { '#' } else { c })
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
    if !command.options.is_empty() {
        // In pairs: a value may look like an option.
        for pair in words.chunks(2) {
            let [option, value] = pair else { return None };
            values.insert(command.options.get(option)?.clone(), value.clone());
        }
        return (words.len() == 2 * values.len() && values.len() == command.options.len())
            .then_some(values);
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

    #[test]
    fn a_value_may_look_like_an_option() {
        let command: ConsoleCommand = toml::from_str(
            "name = \"wifi_config\"\nreply = []\noptions = { \"-s\" = \"ssid\", \"-p\" = \"passphrase\" }",
        )
        .unwrap();
        let given = |words: &[&str]| {
            super::given(&command, &words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
        };
        let values = given(&["-s", "-p", "-p", "secret"]).unwrap();
        assert_eq!((values["ssid"].as_str(), values["passphrase"].as_str()), ("-p", "secret"));
        assert!(given(&["-s", "a"]).is_none());
        assert!(given(&["-s", "a", "-s", "b"]).is_none());
        assert!(given(&["-s", "a", "-p"]).is_none());
    }
}
