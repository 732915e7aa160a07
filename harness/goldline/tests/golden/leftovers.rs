//! Goldens that no test makes any more: nothing would notice when they are wrong.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The files in the folders of `made`, below `golden`, that are not in `made`. Pending files are
/// another test's failure.
pub fn in_folders_of(golden: &Path, made: &[PathBuf]) -> Vec<PathBuf> {
    let folders: BTreeSet<&Path> = made.iter().filter_map(|file| file.parent()).collect();
    let mut left = Vec::new();
    for folder in folders {
        for entry in fs::read_dir(golden.join(folder)).into_iter().flatten().flatten() {
            let file = folder.join(entry.file_name());
            let is_pending = file.to_string_lossy().contains(".snap.new");
            if !is_pending && !made.contains(&file) {
                left.push(file);
            }
        }
    }
    left
}

#[test]
fn a_file_that_nothing_makes_is_found() {
    let golden = tempfile::tempdir().expect("a folder");
    fs::create_dir(golden.path().join("nvs")).expect("made");
    for name in ["kept.snap", "gone.snap", "new.snap.new"] {
        fs::write(golden.path().join("nvs").join(name), "").expect("written");
    }
    let made = [PathBuf::from("nvs/kept.snap")];
    assert_eq!(in_folders_of(golden.path(), &made), [PathBuf::from("nvs/gone.snap")]);
}
