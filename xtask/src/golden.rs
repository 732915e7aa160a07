//! `cargo xtask golden`: reviews what the golden tests would change in golden/, and accepts it.
//!
//! A test that meets a drift fails and leaves `NAME.snap.new` beside `NAME.snap` (and
//! `NAME.snap.new.EXT` for a binary one). Accepting renames; nothing else ever writes a golden.
//! Must not know what the goldens hold.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, BufRead, IsTerminal, Write},
    path::{Path, PathBuf},
};

use crate::{
    Outcome,
    command::{cargo, program, run},
    install, workspace,
};

/// Golden tests say so in their own name or in that of their binary.
const GOLDEN_TESTS: &str = "test(golden) | binary(golden)";
const PENDING: &str = ".snap.new";

/// Runs the golden tests and takes over what is accepted, until nothing new differs: a test stops at
/// its first drift, so accepting one can uncover another.
pub fn run_review(words: &[&str]) -> Outcome {
    let accept_all = match words {
        [] => false,
        ["--accept"] => true,
        _ => return Err(format!("golden: expected nothing or --accept, got {words:?}")),
    };
    if workspace::in_ci() {
        return Err(
            "golden: a CI accepts nothing; review on your own machine and commit".to_owned()
        );
    }
    install::NEXTEST.ensure()?;
    let folder = workspace::root().join("golden");
    discard_pending(&folder)?;
    let mut accepted = BTreeSet::new();
    loop {
        let tests = run_golden_tests();
        let pending = pending_in(&folder)?;
        if pending.is_empty() {
            println!("goldens accepted: {}; nothing else differs", accepted.len());
            return tests;
        }
        if !accept_all && !io::stdin().is_terminal() {
            pending.iter().for_each(|new| show(new));
            return Err(
                "golden: no terminal to ask on; look at the differences, then --accept".to_owned()
            );
        }
        let mut refused = Vec::new();
        for new in pending {
            let golden = in_repository(&accepted_path(&new));
            if accepted.contains(&golden) {
                return Err(format!("golden: {golden} differs on every run"));
            }
            if review(&new, accept_all)? {
                accepted.insert(golden);
            } else {
                refused.push(golden);
            }
        }
        if !refused.is_empty() {
            return Err(format!("golden: not accepted: {}", refused.join(", ")));
        }
    }
}

fn run_golden_tests() -> Outcome {
    let mut nextest = cargo(["nextest", "run", "--workspace", "--no-fail-fast"]);
    nextest.args(["--no-tests", "pass", "-E", GOLDEN_TESTS]);
    // A drift is shown below as a difference; a backtrace of it says nothing.
    nextest.env("RUST_BACKTRACE", "0");
    run(nextest.env("INSTA_UPDATE", "new").env_remove("INSTA_FORCE_PASS"))
}

/// Shows one drift and takes it over when told to.
fn review(new: &Path, accept_all: bool) -> Result<bool, String> {
    show(new);
    if !accept_all && !asked(&format!("accept {}?", in_repository(&accepted_path(new))))? {
        return Ok(false);
    }
    accept(new).map_err(|error| format!("cannot accept {}: {error}", new.display()))?;
    Ok(true)
}

fn show(new: &Path) {
    let old = accepted_path(new);
    let old = if old.exists() { in_repository(&old) } else { "/dev/null".to_owned() };
    let new_name = in_repository(new);
    println!("\n== {new_name}");
    // Its exit code says whether they differ, which is known.
    let mut diff = program("git");
    let diff = diff.args(["--no-pager", "diff", "--no-index", "--"]).args([old, new_name]);
    if diff.status().is_err() {
        println!("git is missing, so no difference can be shown: compare the two files by hand");
    }
    for (data, accepted) in binary_files(new) {
        println!("{}: {} bytes, was {}", in_repository(&accepted), size(&data), size(&accepted));
    }
}

fn size(file: &Path) -> String {
    fs::metadata(file).map_or_else(|_| "absent".to_owned(), |metadata| metadata.len().to_string())
}

fn asked(question: &str) -> Result<bool, String> {
    print!("{question} [y/N] ");
    let read = io::stdout().flush().and_then(|()| {
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).map(|_| answer)
    });
    let answer = read.map_err(|error| format!("golden: cannot read the answer: {error}"))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Renames the pending file over the accepted one, without the line number that insta keeps in
/// pending files only.
fn accept(new: &Path) -> io::Result<()> {
    for (data, accepted) in binary_files(new) {
        fs::rename(data, accepted)?;
    }
    fs::write(accepted_path(new), without_line_number(&fs::read_to_string(new)?))?;
    fs::remove_file(new)
}

/// insta's header stands between the first two lines of dashes.
fn without_line_number(snapshot: &str) -> String {
    let mut dashes = 0;
    let kept = snapshot.split_inclusive('\n').filter(|line| {
        dashes += usize::from(line.trim_end() == "---");
        dashes > 1 || !line.starts_with("assertion_line:")
    });
    kept.collect()
}

/// The path from the repository's root, as a person would write it.
fn in_repository(path: &Path) -> String {
    path.strip_prefix(workspace::root()).unwrap_or(path).display().to_string()
}

/// `a.snap.new` becomes `a.snap`.
fn accepted_path(new: &Path) -> PathBuf {
    new.with_extension("")
}

/// The data beside a binary snapshot: `a.snap.new.bin`, to become `a.snap.bin`.
fn binary_files(new: &Path) -> Vec<(PathBuf, PathBuf)> {
    let (Some(folder), Some(name)) = (new.parent(), new.file_name().and_then(|name| name.to_str()))
    else {
        return Vec::new();
    };
    let stem = name.strip_suffix(".new").unwrap_or(name);
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let extensions =
        names.filter_map(|file| Some(file.strip_prefix(name)?.strip_prefix('.')?.to_owned()));
    extensions
        .map(|extension| {
            (folder.join(format!("{name}.{extension}")), folder.join(format!("{stem}.{extension}")))
        })
        .collect()
}

fn discard_pending(folder: &Path) -> Outcome {
    for new in pending_in(folder)? {
        let files = binary_files(&new).into_iter().map(|(data, _)| data).chain([new]);
        for file in files {
            fs::remove_file(&file)
                .map_err(|error| format!("cannot remove {}: {error}", file.display()))?;
        }
    }
    Ok(())
}

/// Every `*.snap.new` below a folder, sorted; none when the folder does not exist.
fn pending_in(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    if !folder.exists() {
        return Ok(found);
    }
    let unreadable = |error| format!("cannot list {}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            found.extend(pending_in(&path)?);
        } else if path.to_string_lossy().ends_with(PENDING) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepting_takes_text_and_data_over_and_leaves_nothing_pending() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| folder.path().join(name);
        fs::create_dir(file("nvs")).expect("a folder");
        fs::write(file("nvs/a.snap"), "---\nsource: a.rs\n---\nold\n").expect("written");
        let new = "---\nsource: a.rs\nassertion_line: 7\n---\nassertion_line: kept\n";
        fs::write(file("nvs/a.snap.new"), new).expect("written");
        fs::write(file("nvs/a.snap.new.bin"), [1, 2]).expect("written");

        let pending = pending_in(folder.path()).expect("listed");
        assert_eq!(pending, [file("nvs/a.snap.new")]);
        accept(&pending[0]).expect("accepted");

        let text = fs::read_to_string(file("nvs/a.snap")).expect("read");
        assert_eq!(text, "---\nsource: a.rs\n---\nassertion_line: kept\n");
        assert_eq!(fs::read(file("nvs/a.snap.bin")).expect("read"), [1, 2]);
        assert_eq!(fs::read_dir(file("nvs")).expect("listed").count(), 2);
    }

    #[test]
    fn discarding_removes_the_pending_files_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| folder.path().join(name);
        for name in ["a.snap", "a.snap.bin", "a.snap.new", "a.snap.new.bin"] {
            fs::write(file(name), name).expect("written");
        }
        discard_pending(folder.path()).expect("discarded");
        assert!(file("a.snap").exists() && file("a.snap.bin").exists());
        assert!(!file("a.snap.new").exists() && !file("a.snap.new.bin").exists());
    }
}
