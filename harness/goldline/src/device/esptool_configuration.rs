//! The file in which esptool keeps its settings: where it looks for it, and the resets that it names.
//!
//! As esptool 5 does: `ESPTOOL_CFGFILE`, else the first of `esptool.cfg`, `setup.cfg` and `tox.ini` that has a
//! section `[esptool]`, here, then in `~/.config/esptool`, then at home. A file that cannot be read, or has no
//! such section, is passed over.

use std::{
    env,
    path::{Path, PathBuf},
};

use configparser::ini::Ini;

use super::sequence::{Sequence, SequenceError};

const SECTION: &str = "esptool";
const NAMES: [&str; 3] = ["esptool.cfg", "setup.cfg", "tox.ini"];
const INTO_LOADER: &str = "custom_reset_sequence";
const INTO_APPLICATION: &str = "custom_hard_reset_sequence";

/// The resets that esptool's configuration names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CustomReset {
    /// Into the loader.
    pub download: Sequence,
    /// Into the application.
    pub application: Sequence,
    /// The file that names it; none where the device URL does.
    pub of: Option<PathBuf>,
}

/// esptool's configuration names no reset that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    /// A sequence in it is none.
    #[error("{name} in {}: {error}", .path.display())]
    Sequence {
        /// The file.
        path: PathBuf,
        /// The setting.
        name: &'static str,
        /// What is wrong with it.
        error: SequenceError,
    },
    /// It was asked for, and there is none.
    #[error(
        "reset=esptool, but no configuration of esptool names a {INTO_LOADER}: {}",
        .found.as_ref().map_or_else(
            || "there is no esptool.cfg, setup.cfg or tox.ini with a section [esptool] here, in ~/.config/esptool or at home".to_owned(),
            |path| format!("{} does not", path.display())
        )
    )]
    NoSequence {
        /// The configuration that there is.
        found: Option<PathBuf>,
    },
}

impl ConfigurationError {
    /// What to do about it.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Sequence { .. } => {
                "correct the sequence, which esptool refuses too, or name another reset: ?reset=classic leaves that file aside"
            }
            Self::NoSequence { .. } => {
                "name the file in ESPTOOL_CFGFILE, or the sequence itself with ?reset=custom:D0|R1|W0.1|D1|R0|W0.05|D0"
            }
        }
    }
}

/// The reset that esptool's configuration names, if there is one that does.
///
/// # Errors
/// [`ConfigurationError::Sequence`] when what it names is no sequence.
pub(super) fn custom_reset() -> Result<Option<CustomReset>, ConfigurationError> {
    custom_reset_of(configuration().as_ref())
}

/// The reset that esptool's configuration must name.
///
/// # Errors
/// [`ConfigurationError`] when it names none.
pub(super) fn demanded_reset() -> Result<CustomReset, ConfigurationError> {
    let found = configuration();
    custom_reset_of(found.as_ref())?
        .ok_or_else(|| ConfigurationError::NoSequence { found: found.map(|(path, _)| path) })
}

fn custom_reset_of(
    configuration: Option<&(PathBuf, Ini)>,
) -> Result<Option<CustomReset>, ConfigurationError> {
    let Some((path, settings)) = configuration else { return Ok(None) };
    let named = |name| {
        let text = settings.get(SECTION, name);
        let wrong = |error| ConfigurationError::Sequence { path: path.clone(), name, error };
        text.map(|text| text.parse::<Sequence>().map_err(wrong)).transpose()
    };
    let application = named(INTO_APPLICATION)?.unwrap_or_else(Sequence::hard);
    let download = named(INTO_LOADER)?;
    Ok(download.map(|download| CustomReset { download, application, of: Some(path.clone()) }))
}

fn configuration() -> Option<(PathBuf, Ini)> {
    let named = env::var_os("ESPTOOL_CFGFILE").filter(|path| !path.is_empty()).map(PathBuf::from);
    let home = env::var_os("HOME").map(PathBuf::from);
    first_of(named, Path::new("."), home.as_deref())
}

fn first_of(named: Option<PathBuf>, here: &Path, home: Option<&Path>) -> Option<(PathBuf, Ini)> {
    let folders = [Some(here.to_owned()), home.map(|home| home.join(".config/esptool"))];
    let folders = folders.into_iter().chain([home.map(Path::to_owned)]).flatten();
    let usual = folders.flat_map(|folder| NAMES.map(|name| folder.join(name)));
    named.into_iter().chain(usual).find_map(|path| {
        let settings = read(&path)?;
        Some((path, settings))
    })
}

fn read(path: &Path) -> Option<Ini> {
    let mut settings = Ini::new();
    // A `;` behind a value is part of it, as it is for Python.
    settings.set_inline_comment_symbols(Some(&[]));
    let sections = settings.load(path).ok()?;
    sections.contains_key(SECTION).then_some(settings)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Folders(tempfile::TempDir);

    impl Folders {
        fn new() -> Self {
            let folders = Self(tempfile::tempdir().expect("a folder"));
            for folder in ["here", "home/.config/esptool"] {
                fs::create_dir_all(folders.path(folder)).expect("a folder in it");
            }
            folders
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            fs::write(self.path(name), text).expect("a file");
            self.path(name)
        }

        fn found(&self, named: Option<PathBuf>) -> Option<PathBuf> {
            let found = first_of(named, &self.path("here"), Some(&self.path("home")));
            found.map(|(path, _)| path)
        }

        fn reset(&self) -> Result<Option<CustomReset>, ConfigurationError> {
            custom_reset_of(first_of(None, &self.path("here"), None).as_ref())
        }
    }

    /// esptool's own order, from the last to the first.
    #[test]
    fn the_first_file_with_the_section_counts() {
        let folders = Folders::new();
        assert_eq!(folders.found(None), None);
        let section = "[esptool]\nreset_delay = 1\n";
        let mut expected = None;
        for name in ["home/tox.ini", "home/.config/esptool/setup.cfg", "here/tox.ini"] {
            expected = Some(folders.write(name, section));
            assert_eq!(folders.found(None), expected, "{name}");
        }
        folders.write("here/setup.cfg", "[flake8]\nmax-line-length = 100\n");
        folders.write("here/esptool.cfg", "no section at all\n");
        assert_eq!(folders.found(None), expected, "those have no such section");
        let named = folders.write("named", section);
        assert_eq!(folders.found(Some(named.clone())), Some(named));
        assert_eq!(folders.found(Some(folders.path("nowhere"))), expected, "as for esptool");
    }

    #[test]
    fn both_resets_are_read() {
        let folders = Folders::new();
        let text = "[esptool]\ncustom_reset_sequence = U1,0|W0.05|D0\ncustom_hard_reset_sequence: R1|W0.2|R0\n";
        let path = folders.write("here/esptool.cfg", text);
        let reset = folders.reset().expect("sequences").expect("a reset");
        assert_eq!(reset.download, "U1,0|W0.05|D0".parse().expect("a sequence"));
        assert_eq!(reset.application, "R1|W0.2|R0".parse().expect("a sequence"));
        assert_eq!(reset.of, Some(path));
    }

    #[test]
    fn a_configuration_need_not_name_one() {
        let folders = Folders::new();
        folders.write("here/esptool.cfg", "[esptool]\nreset_delay = 1\n");
        assert_eq!(folders.reset(), Ok(None));
    }

    #[test]
    fn a_bad_sequence_is_named_with_its_file_and_place() {
        let folders = Folders::new();
        let text = "[esptool]\ncustom_reset_sequence = D0|R1 ; reset\n";
        let path = folders.write("here/esptool.cfg", text);
        let said = folders.reset().expect_err("refused").to_string();
        let expected = format!(
            "custom_reset_sequence in {}: step \"R1 ; reset\" at character 4 is none",
            path.display()
        );
        assert!(said.starts_with(&expected), "{said}");
    }
}
