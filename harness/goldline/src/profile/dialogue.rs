//! What is typed into a unit's serial console, and what it must answer.
//!
//! Must not know ports: it holds lines as templates.

use std::time::Duration;

use regex::Regex;

use super::{ConsoleMeasure, Profile, Template};

/// The dialogues that a product's console knows.
#[derive(Clone, Debug)]
pub struct ConsoleSpec {
    /// What ends a line that is sent.
    pub line_end: LineEnd,
    /// How a value stands in a line.
    pub quoting: Quoting,
    /// What it shows when it waits for a line; known of some products.
    pub prompt: Option<String>,
    /// Whether a line is typed once more that was not answered well.
    pub retype: bool,
    /// The device id that the unit prints at its start.
    pub device_id: Option<ScrapedId>,
    /// Provisions a unit.
    pub provision: Vec<Exchange>,
    /// Gives a provisioned unit another network.
    pub wifi: Vec<Exchange>,
    /// Asks a provisioned unit for its state.
    pub status: Vec<Exchange>,
    /// Takes every credential from the unit.
    pub factory_reset: Vec<Exchange>,
    /// Shows by its answers that what must be off is off.
    pub off: Vec<Exchange>,
}

/// One of the dialogues.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DialogueName {
    /// [`ConsoleSpec::provision`].
    Provision,
    /// [`ConsoleSpec::wifi`].
    Wifi,
    /// [`ConsoleSpec::status`].
    Status,
    /// [`ConsoleSpec::factory_reset`].
    FactoryReset,
    /// [`ConsoleSpec::off`].
    Off,
}

/// A line and its answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exchange {
    /// Without its end.
    pub send: Template,
    /// A text of several lines that follows, when the console asks for it.
    pub paste: Option<Paste>,
    /// Texts that the answer must contain, in this order; never none.
    pub expect: Vec<Template>,
    /// Texts that mean a refusal.
    pub refuse: Vec<String>,
    /// How long the answer may take.
    pub within: Duration,
    /// Whether the unit restarts by itself afterwards.
    pub restarts: bool,
    /// A number in its answer that is judged; in the status alone.
    pub measure: Option<ConsoleMeasure>,
    /// What the unit must reach to answer well; nothing for a line that it answers by itself.
    pub needs: Option<Need>,
}

/// A text of several lines that a console takes as it is, such as a certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Paste {
    /// What the console says when it is ready for it.
    pub when: String,
    /// The text; its lines end as all others do.
    pub text: Template,
}

/// What a unit must reach before it can answer a line of its console well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// Its network.
    Wifi,
    /// Its broker, by way of its network.
    Broker,
    /// Its CA, by way of its network.
    Ca,
}

/// A device id in the serial log.
#[derive(Clone, Debug)]
pub struct ScrapedId {
    /// Has exactly one group.
    pub pattern: Regex,
    /// What the group must hold.
    pub expected: Template,
    /// How long the unit may take to print it.
    pub within: Duration,
}

/// What ends a line that is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each name is the character's own")]
pub enum LineEnd {
    Lf,
    Cr,
    CrLf,
}

/// How a value stands in a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quoting {
    /// As it is, to the line's end.
    Verbatim,
    /// As it is; the firmware splits at spaces and knows no quotes.
    Unquoted,
    /// In double quotes where it must be.
    WhenNeeded,
    /// Always in double quotes.
    Always,
}

impl ConsoleSpec {
    /// The lines of a dialogue.
    pub fn dialogue(&self, name: DialogueName) -> &[Exchange] {
        match name {
            DialogueName::Provision => &self.provision,
            DialogueName::Wifi => &self.wifi,
            DialogueName::Status => &self.status,
            DialogueName::FactoryReset => &self.factory_reset,
            DialogueName::Off => &self.off,
        }
    }
}

impl Exchange {
    /// The values that are given to the unit by it.
    pub fn symbols(&self) -> impl Iterator<Item = &str> {
        let pasted = self.paste.iter().flat_map(|paste| paste.text.symbols());
        self.send.symbols().chain(pasted)
    }
}

impl DialogueName {
    /// Every dialogue.
    pub const ALL: [Self; 5] =
        [Self::Provision, Self::Wifi, Self::Status, Self::FactoryReset, Self::Off];

    /// Whether it only asks a provisioned unit, and a wrong answer is a check's to judge.
    pub fn only_asks(self) -> bool {
        matches!(self, Self::Status | Self::Off)
    }

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Provision => "provision",
            Self::Wifi => "wifi",
            Self::Status => "status",
            Self::FactoryReset => "factory_reset",
            Self::Off => "off",
        }
    }
}

impl LineEnd {
    /// The characters.
    pub fn text(self) -> &'static str {
        match self {
            Self::Lf => "\n",
            Self::Cr => "\r",
            Self::CrLf => "\r\n",
        }
    }
}

/// A value cannot stand in a console line.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "a value {what}, and this console splits its lines at spaces and knows no quotes; choose another value, or quoting in the profile if the firmware understands it"
)]
pub struct NotSayable {
    /// What is wrong with the value, without the value.
    pub what: &'static str,
}

/// A value of a unit cannot be typed into its console.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the value \"{name}\" cannot be typed into the unit's console: {error}")]
pub struct Unsayable {
    /// Name of the value.
    pub name: String,
    /// What is wrong with it.
    pub error: NotSayable,
}

impl Profile {
    /// Tries every value that stands in a console line; `value` knows some of them.
    ///
    /// # Errors
    /// [`Unsayable`] names the first that cannot be typed.
    pub fn refuse_unsayable<'a>(
        &self,
        value: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<(), Unsayable> {
        let Some(console) = &self.console else { return Ok(()) };
        let dialogues = DialogueName::ALL.into_iter().flat_map(|name| console.dialogue(name));
        let lines = dialogues.map(|exchange| &exchange.send);
        let alert = self.alert.as_ref().map(|alert| &alert.send);
        for name in lines.chain(alert).flat_map(Template::symbols) {
            let said = value(name).map_or(Ok(String::new()), |value| console.quoting.apply(value));
            said.map_err(|error| Unsayable { name: name.to_owned(), error })?;
        }
        Ok(())
    }
}

impl Quoting {
    /// The value as it is typed.
    ///
    /// # Errors
    /// [`NotSayable`] when the console would take it for something else.
    pub fn apply(self, value: &str) -> Result<String, NotSayable> {
        let splits = value.is_empty() || value.contains([' ', '\t']);
        let special = value.contains(['"', '\\']);
        match self {
            Self::Verbatim => Ok(value.to_owned()),
            Self::Unquoted if value.is_empty() => Err(NotSayable { what: "is empty" }),
            Self::Unquoted if splits => Err(NotSayable { what: "holds a space" }),
            Self::Unquoted if special => {
                Err(NotSayable { what: "holds a double quote or a backslash" })
            }
            Self::Unquoted => Ok(value.to_owned()),
            Self::WhenNeeded if !splits && !special => Ok(value.to_owned()),
            Self::WhenNeeded | Self::Always => {
                Ok(format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_quoted_where_the_console_needs_it_and_refused_where_it_knows_no_quotes() {
        let spaced = r#"My "Lab" \ 2"#;
        assert_eq!(Quoting::Verbatim.apply(spaced).as_deref(), Ok(spaced));
        assert!(Quoting::Unquoted.apply(spaced).is_err());
        assert!(Quoting::Unquoted.apply("").is_err());
        let quoted = r#""My \"Lab\" \\ 2""#;
        assert_eq!(Quoting::WhenNeeded.apply(spaced).as_deref(), Ok(quoted));
        assert_eq!(Quoting::WhenNeeded.apply("plain").as_deref(), Ok("plain"));
        assert_eq!(Quoting::Always.apply("plain").as_deref(), Ok("\"plain\""));
    }
}
