//! The goldens of a profile: what is written into its sample unit, kept beside the profile, reviewed and
//! committed.
//!
//! A drift is a golden that differs from what this program plans: the profile or the program changed, and no
//! unit is at fault. It is found here, before anything is touched. Must not know how a difference is accepted.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use goldline_nvs::{device::DeviceEntry, fingerprint::Fingerprinter};

use super::sample_unit::{SAMPLE_MAC, SampleError, SampleUnit};
use crate::{
    identity::Mac,
    output_file::{Existing, OutputError, OutputFile, OutputFolder, Readers},
    plan::{Given, Plan, Scope},
    profile::{CatalogError, Profile, find, folder_of},
};

/// What a device reads in the image, key by key.
const NVS_TEXT: &str = "nvs.txt";
/// The image itself, where the bench flashes one.
const NVS_IMAGE: &str = "nvs.bin";
/// What is done to a unit, in order.
const PLAN: &str = "plan.txt";

/// The goldens of one profile, as this program would make them now.
pub struct Goldens {
    profile: Arc<Profile>,
    unit: SampleUnit,
    folder: PathBuf,
}

/// Goldens cannot be made, or compared.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum GoldenError {
    #[error(transparent)]
    Profile(#[from] CatalogError),
    #[error(transparent)]
    Sample(#[from] SampleError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error("there is no golden in {}: make them with goldline golden make", .folder.display())]
    None { folder: PathBuf },
    #[error("cannot read the golden {}: {error}", .path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error(
        "the golden {} is not what is planned for the sample unit, and no unit is at fault:\n{}",
        .path.display(), .how.join("\n")
    )]
    Drift { path: PathBuf, how: Vec<String> },
}

impl GoldenError {
    /// What to do about it, where the message does not say so.
    pub fn action(&self) -> Option<String> {
        let Self::Drift { .. } = self else { return None };
        let action = "the profile was changed, or Goldline: look at it with goldline golden review PROFILE, and where \
                      it is meant, take it over with goldline golden accept PROFILE and commit it";
        Some(action.to_owned())
    }
}

impl Goldens {
    /// Of a profile, by its name or path; in `folder`, or in `golden/NAME` beside the profile's file.
    ///
    /// # Errors
    /// [`GoldenError`] when there is no such profile, or it describes no sample unit.
    pub fn of(
        name: &str,
        profiles: Option<&Path>,
        folder: Option<&Path>,
    ) -> Result<Self, GoldenError> {
        let profile = Arc::new(find(name, profiles)?);
        let folder = folder.map_or_else(|| beside(name, profiles, &profile), Path::to_owned);
        Ok(Self { unit: SampleUnit::of(&profile)?, profile, folder })
    }

    /// Writes them all, or none.
    ///
    /// # Errors
    /// [`OutputError`] names the file that must not or cannot be written.
    pub fn write(&self, existing: Existing) -> Result<Vec<PathBuf>, OutputError> {
        let folder = OutputFolder::at(&self.folder)?;
        let made = self.made();
        let places = made.iter().map(|(name, _)| folder.file(name, existing, Readers::AsBefore));
        let places: Vec<OutputFile> = places.collect::<Result<_, _>>()?;
        folder.make(Readers::AsBefore)?;
        OutputFile::write_all(places.iter().zip(made.iter().map(|(_, bytes)| bytes.as_slice())))?;
        Ok(places.iter().map(|place| place.path().to_owned()).collect())
    }

    /// What differs from the files that are there, a line each; nothing when all is as it was accepted.
    ///
    /// # Errors
    /// [`GoldenError`] when there are none, or one cannot be read.
    pub fn differences(&self) -> Result<Vec<String>, GoldenError> {
        if !self.are_there() {
            return Err(GoldenError::None { folder: self.folder.clone() });
        }
        let mut found = self.nvs_differences()?;
        let plan = Plan::new(Arc::clone(&self.profile), Scope::Run).to_string();
        found.extend(self.text_differences(PLAN, &plan)?);
        Ok(found)
    }

    fn are_there(&self) -> bool {
        [NVS_TEXT, NVS_IMAGE].iter().any(|name| self.folder.join(name).exists())
    }

    fn made(&self) -> Vec<(&'static str, Vec<u8>)> {
        let plan = Plan::new(Arc::clone(&self.profile), Scope::Run).to_string();
        let mut made = vec![(NVS_TEXT, self.unit.nvs_text().into_bytes()), (PLAN, plan.into())];
        // What the unit's own firmware writes, it lays out as it likes.
        if self.profile.method.flashes_nvs() {
            made.push((NVS_IMAGE, self.unit.nvs_image().to_vec()));
        }
        made
    }

    /// What is written into a unit; not in which order.
    fn nvs_differences(&self) -> Result<Vec<String>, GoldenError> {
        let mut found = Vec::new();
        if self.profile.method.flashes_nvs() {
            match self.read(NVS_IMAGE)? {
                Some(golden) => found.extend(image_differences(&self.unit, &golden)),
                None => found.push(format!("{NVS_IMAGE} is missing")),
            }
        }
        if found.is_empty() {
            found.extend(self.text_differences(NVS_TEXT, &self.unit.nvs_text())?);
        }
        Ok(found)
    }

    fn text_differences(&self, name: &str, planned: &str) -> Result<Vec<String>, GoldenError> {
        let Some(golden) = self.read(name)? else { return Ok(vec![format!("{name} is missing")]) };
        let golden = String::from_utf8_lossy(&golden).into_owned();
        if golden == planned {
            return Ok(Vec::new());
        }
        let mut found = line_differences(&golden, planned);
        if found.is_empty() {
            found.push("the lines are the same, in another order".to_owned());
        }
        Ok(found.into_iter().map(|line| format!("{name}: {line}")).collect())
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, GoldenError> {
        let path = self.folder.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(GoldenError::Unreadable { path, error }),
        }
    }
}

/// Where the goldens of a profile lie: `golden/NAME` beside its file; of one that ships, in the current folder.
fn beside(name: &str, profiles: Option<&Path>, profile: &Profile) -> PathBuf {
    folder_of(name, profiles).unwrap_or_default().join("golden").join(&profile.name)
}

/// Of a run, what it is to be compared with.
pub(super) struct OfRun<'a> {
    /// As it was named.
    pub(super) name: &'a str,
    pub(super) profiles: Option<&'a Path>,
    pub(super) profile: &'a Arc<Profile>,
    pub(super) given: &'a Given,
    /// The unit's address, where it is known before the unit is asked.
    pub(super) mac: Option<Mac>,
}

impl OfRun<'_> {
    /// Refuses a drift from a golden that was named: what this very run would write differs from it.
    pub(super) fn refuse_drift_from(&self, path: &Path, golden: &[u8]) -> Result<(), GoldenError> {
        let Some(mac) = self.mac.filter(|_| self.profile.method.flashes_nvs()) else {
            return Ok(());
        };
        let how = image_differences(&SampleUnit::with(self.profile, self.given, mac)?, golden);
        if how.is_empty() { Ok(()) } else { Err(drift(path, how)) }
    }

    /// The image of the goldens that stand beside the profile, where this run writes the sample unit. A drift is
    /// refused in any case.
    pub(super) fn standing_beside(&self) -> Result<Option<Arc<[u8]>>, GoldenError> {
        let folder = beside(self.name, self.profiles, self.profile);
        // Those of a profile that ships are that program's own.
        let is_own = folder_of(self.name, self.profiles).is_some();
        let there = [NVS_TEXT, NVS_IMAGE].iter().any(|name| folder.join(name).is_file());
        if !is_own || !there {
            return Ok(None);
        }
        let (profile, unit) = (Arc::clone(self.profile), SampleUnit::of(self.profile)?);
        let goldens = Goldens { profile, unit, folder };
        let how = goldens.nvs_differences()?;
        if !how.is_empty() {
            return Err(drift(&goldens.folder, how));
        }
        let writes_sample = self.given.is_empty() && self.mac == Some(SAMPLE_MAC);
        let image = if writes_sample { goldens.read(NVS_IMAGE)? } else { None };
        Ok(image.map(Into::into))
    }
}

fn drift(path: &Path, how: Vec<String>) -> GoldenError {
    GoldenError::Drift { path: path.to_owned(), how }
}

/// Entry by entry; of a secret no more than that it is another.
fn image_differences(unit: &SampleUnit, golden: &[u8]) -> Vec<String> {
    if golden == unit.nvs_image() {
        return Vec::new();
    }
    let mut key = [0; 32];
    if let Err(error) = getrandom::fill(&mut key) {
        return vec![format!("{NVS_IMAGE} differs; its entries cannot be marked: {error}")];
    }
    let marks = Fingerprinter::new(key);
    let mark = |entry: &DeviceEntry| format!("<secret {}>", marks.fingerprint(&entry.value));
    let planned = unit.marked_text(unit.nvs_image(), mark).expect("its own keys open it");
    let found = match unit.marked_text(golden, mark) {
        Ok(golden) => line_differences(&golden, &planned),
        Err(error) => vec![format!("cannot be read: {error}")],
    };
    let found = match found.is_empty() {
        true => vec!["the entries are the same, their layout differs".to_owned()],
        false => found,
    };
    found.into_iter().map(|line| format!("{NVS_IMAGE}: {line}")).collect()
}

/// The lines that only one of two texts has: `-` of the first, `+` of the second. Columns do not count.
fn line_differences(before: &str, after: &str) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let (before, after): (Vec<_>, Vec<_>) =
        (before.lines().map(words).collect(), after.lines().map(words).collect());
    let gone = before.iter().filter(|line| !after.contains(line)).map(|line| format!("- {line}"));
    let new = after.iter().filter(|line| !before.contains(line)).map(|line| format!("+ {line}"));
    gone.chain(new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_of_one_side_are_told_and_columns_do_not_count() {
        let found = line_differences("a/b  str 1  \"x\"\nc\n", "a/b str 1 \"x\"\nd\n");
        assert_eq!(found, ["- c", "+ d"]);
    }
}
