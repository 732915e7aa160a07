//! The profiles there are: those built into the binary, those of a folder, and those named by a path.
//!
//! Reads files, and nothing else of the machine. A folder's profile outranks a built-in one of the
//! same name, so that a changed copy can be tried without a rebuild.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::{Profile, ProfileError, nearest::did_you_mean};

/// The profiles that an installed `goldline` knows in any folder.
const SHIPPED: &[(&str, &str)] = &[
    ("espvault", include_str!("../../../../fixtures/profiles/espvault.toml")),
    ("espvault-encrypted", include_str!("../../../../fixtures/profiles/espvault-encrypted.toml")),
    ("espvault-hmac", include_str!("../../../../fixtures/profiles/espvault-hmac.toml")),
    (
        "espvault-certificates",
        include_str!("../../../../fixtures/profiles/espvault-certificates.toml"),
    ),
    ("zeroconf", include_str!("../../../../fixtures/profiles/zeroconf.toml")),
    ("zeroconf-portal", include_str!("../../../../fixtures/profiles/zeroconf-portal.toml")),
    ("zeroconf-ca", include_str!("../../../../fixtures/profiles/zeroconf-ca.toml")),
    ("zeroconf-ca-console", include_str!("../../../../fixtures/profiles/zeroconf-ca-console.toml")),
    ("safesignal", include_str!("../../../../fixtures/profiles/safesignal.toml")),
    (
        "safesignal-certificates",
        include_str!("../../../../fixtures/profiles/safesignal-certificates.toml"),
    ),
    ("ble-gateway", include_str!("../../../../fixtures/profiles/ble-gateway.toml")),
    ("ble-gateway-portal", include_str!("../../../../fixtures/profiles/ble-gateway-portal.toml")),
    ("ble-gateway-factory", include_str!("../../../../fixtures/profiles/ble-gateway-factory.toml")),
];

/// One profile that can be named.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// What `goldline run` calls it.
    pub name: String,
    /// Its file; `None` when it is built in.
    pub path: Option<PathBuf>,
}

/// A profile cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// No profile of that name.
    #[error("unknown profile \"{name}\": there are {}{}", .existing.join(", "), did_you_mean(.name, .existing.iter().map(String::as_str)))]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// All that exist.
        existing: Vec<String>,
    },
    /// The file or folder cannot be read.
    #[error("cannot read {}: {error}", .path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// The operating system's reason.
        error: io::Error,
    },
    /// A profile that would be found by another name than it has.
    #[error("{} holds the profile \"{name}\": expected the file to be named {name}.toml", .path.display())]
    NameDiffers {
        /// The file.
        path: PathBuf,
        /// The name in it.
        name: String,
    },
    /// The profile is not valid.
    #[error(transparent)]
    Profile(#[from] ProfileError),
}

/// All profiles, by name: the built-in ones and those of `dir`.
///
/// # Errors
/// When the folder cannot be read. A file in it that is not valid is listed all the same.
pub fn list(dir: Option<&Path>) -> Result<Vec<Listed>, CatalogError> {
    let mut profiles: BTreeMap<String, Option<PathBuf>> =
        SHIPPED.iter().map(|(name, _)| ((*name).to_owned(), None)).collect();
    if let Some(dir) = dir {
        let unreadable = |error| CatalogError::Unreadable { path: dir.to_owned(), error };
        for entry in fs::read_dir(dir).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            if let (Some(stem), true) = (stem, path.extension().is_some_and(|end| end == "toml")) {
                profiles.insert(stem.to_owned(), Some(path));
            }
        }
    }
    Ok(profiles.into_iter().map(|(name, path)| Listed { name, path }).collect())
}

/// The profile that `name` means: a path (anything with a `/` or the ending `.toml`), a name in
/// `dir`, or a built-in name.
///
/// # Errors
/// When there is none, it cannot be read, or it is not valid.
pub fn find(name: &str, dir: Option<&Path>) -> Result<Profile, CatalogError> {
    if name.contains('/') || name.ends_with(".toml") {
        return read(Path::new(name));
    }
    let profiles = list(dir)?;
    match profiles.iter().find(|listed| listed.name == name) {
        Some(listed) => listed.load(),
        None => Err(CatalogError::Unknown {
            name: name.to_owned(),
            existing: profiles.into_iter().map(|listed| listed.name).collect(),
        }),
    }
}

/// The folder of the file that `name` means to [`find`]; `None` of a profile that ships.
pub fn folder_of(name: &str, dir: Option<&Path>) -> Option<PathBuf> {
    let folder = |path: &Path| path.parent().unwrap_or(Path::new("")).to_owned();
    if name.contains('/') || name.ends_with(".toml") {
        return Some(folder(Path::new(name)));
    }
    let file = dir?.join(format!("{name}.toml"));
    file.is_file().then(|| folder(&file))
}

impl Listed {
    /// Reads and validates it.
    ///
    /// # Errors
    /// When it cannot be read, is not valid, or has another name than its file.
    pub fn load(&self) -> Result<Profile, CatalogError> {
        let profile = match &self.path {
            Some(path) => read(path)?,
            None => shipped(&self.name)?,
        };
        match &self.path {
            Some(path) if profile.name != self.name => {
                Err(CatalogError::NameDiffers { path: path.clone(), name: profile.name })
            }
            _ => Ok(profile),
        }
    }
}

fn read(path: &Path) -> Result<Profile, CatalogError> {
    let text = fs::read_to_string(path)
        .map_err(|error| CatalogError::Unreadable { path: path.to_owned(), error })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    Ok(Profile::parse(&path.display().to_string(), &text, Some(folder))?)
}

fn shipped(name: &str) -> Result<Profile, CatalogError> {
    let unknown = || CatalogError::Unknown {
        name: name.to_owned(),
        existing: SHIPPED.iter().map(|(name, _)| (*name).to_owned()).collect(),
    };
    let (_, text) = SHIPPED.iter().find(|(shipped, _)| *shipped == name).ok_or_else(unknown)?;
    Ok(Profile::parse(&format!("{name}.toml (built in)"), text, None)?)
}
