//! An append-only file of lines that is kept twice: what one copy lost or got wrong, the other has.
//!
//! Each line is a JSON object that ends with a digest of its place and its text, so that a changed bit is seen. A
//! copy that is lost, cut, older or changed is made whole from the other, and the log says so; where neither copy
//! has a line, or both have one and differ, the file is refused. A last line without its end was being written
//! when the machine stopped: nobody was told of it. Must not know what a line says.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{StoreError, at, make_private_folder, write_private};
use crate::hex::hex;

/// Where the second copies lie, apart from the first.
pub(super) const COPIES: &str = "copies";
/// What stands between a line's text and its digest.
const SUM: &str = ",\"sum\":\"";
const SUM_BYTES: usize = 8;

/// The open file; the caller holds its lock.
pub(super) struct Twofold {
    paths: [PathBuf; 2],
    /// Without their digests.
    lines: Vec<String>,
}

/// One copy as it was found.
struct Copy {
    /// `None` when there is no such file.
    text: Option<Vec<u8>>,
}

impl Twofold {
    /// Reads both copies of a file, named from the state directory on, and mends what one of them lacks.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when no copy has a line, [`StoreError::Io`] when one cannot be read or mended.
    pub(super) fn open(root: &Path, name: &Path) -> Result<Self, StoreError> {
        let paths = [root.join(name), root.join(COPIES).join(name)];
        let [first, second] = [Copy::read(&paths[0])?, Copy::read(&paths[1])?];
        // A file of a version that kept one copy, without digests.
        let older = [&first, &second].into_iter().all(|copy| !copy.has_digests());
        let lines = merged(&first.lines(older), &second.lines(older));
        let lines =
            lines.map_err(|reason| StoreError::Damaged { path: paths[0].clone(), reason })?;
        let whole = text_of(0, &lines);
        for (copy, path) in [&first, &second].into_iter().zip(&paths) {
            if copy.text.as_deref().unwrap_or_default() == whole.as_bytes() {
                continue;
            }
            if !older {
                tracing::warn!(
                    "{} was damaged: it is made whole from its other copy",
                    path.display()
                );
            }
            make_private_folder(path.parent().unwrap_or(root))?;
            write_private(path, whole.as_bytes())?;
        }
        Ok(Self { paths, lines })
    }

    /// The lines, in their order.
    pub(super) fn lines(&self) -> &[String] {
        &self.lines
    }

    /// The first copy, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.paths[0]
    }

    /// Puts lines, each a JSON object, on the disk, twice.
    ///
    /// # Errors
    /// [`StoreError::Io`] when a copy cannot be written.
    pub(super) fn append(&mut self, lines: Vec<String>) -> Result<(), StoreError> {
        let text = text_of(self.lines.len(), &lines);
        for path in &self.paths {
            let folder = path.parent().unwrap_or(Path::new("."));
            make_private_folder(folder)?;
            let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
            let mut file = file.map_err(at(path))?;
            file.write_all(text.as_bytes()).map_err(at(path))?;
            // What was told must outlast a loss of power.
            file.sync_all().map_err(at(path))?;
            if self.lines.is_empty() {
                fs::File::open(folder).and_then(|it| it.sync_all()).map_err(at(folder))?;
            }
        }
        self.lines.extend(lines);
        Ok(())
    }
}

impl Copy {
    fn read(path: &Path) -> Result<Self, StoreError> {
        match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self { text: None }),
            read => Ok(Self { text: Some(read.map_err(at(path))?) }),
        }
    }

    fn has_digests(&self) -> bool {
        let text = self.text.as_deref().unwrap_or_default();
        text.windows(SUM.len()).any(|window| window == SUM.as_bytes())
    }

    /// Each line's text where it is sound; a last one without its end is left out.
    fn lines(&self, without_digest: bool) -> Vec<Option<String>> {
        let text = self.text.as_deref().unwrap_or_default();
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines = text[..whole].split_inclusive(|byte| *byte == b'\n').enumerate();
        lines.map(|(index, line)| sound(index, line, without_digest)).collect()
    }
}

/// A line's text without its digest; `None` when the two do not fit.
fn sound(index: usize, line: &[u8], without_digest: bool) -> Option<String> {
    let text = std::str::from_utf8(line).ok()?.trim_end_matches('\n');
    if let Some((body, sum)) = text.rsplit_once(SUM) {
        let body = format!("{body}}}");
        return (sum == format!("{}\"}}", digest(index, &body))).then_some(body);
    }
    without_digest.then(|| text.to_owned())
}

fn merged(first: &[Option<String>], second: &[Option<String>]) -> Result<Vec<String>, String> {
    let lines = (0..first.len().max(second.len())).map(|index| {
        let of = |copy: &[Option<String>]| copy.get(index).cloned().flatten();
        match (of(first), of(second)) {
            (Some(one), Some(other)) if one != other => {
                Err(format!("line {} is not the same in its two copies", index + 1))
            }
            (Some(line), _) | (None, Some(line)) => Ok(line),
            (None, None) => Err(format!("line {} is changed or lost in both copies", index + 1)),
        }
    });
    lines.collect()
}

/// The lines with their digests, from a place on.
fn text_of(start: usize, lines: &[String]) -> String {
    let with_sum = |(offset, line): (usize, &String)| {
        let body = line.strip_suffix('}').unwrap_or(line);
        format!("{body}{SUM}{}\"}}\n", digest(start + offset, line))
    };
    lines.iter().enumerate().map(with_sum).collect()
}

fn digest(index: usize, line: &str) -> String {
    let sum = Sha256::digest(format!("{index} {line}"));
    hex(&sum[..SUM_BYTES])
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rstest::rstest;

    use super::*;

    const LINES: [&str; 3] = ["{\"number\":1}", "{\"number\":2}", "{\"number\":3}"];

    fn written() -> (tempfile::TempDir, [PathBuf; 2]) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for line in LINES {
            open(&folder).expect("sound").append(vec![line.to_owned()]).expect("written");
        }
        let paths = [folder.path().join("a/b.jsonl"), folder.path().join("copies/a/b.jsonl")];
        (folder, paths)
    }

    fn open(folder: &tempfile::TempDir) -> Result<Twofold, StoreError> {
        Twofold::open(folder.path(), Path::new("a/b.jsonl"))
    }

    fn damage(path: &Path, how: &str) {
        let mut bytes = fs::read(path).expect("a copy");
        match how {
            "removed" => return fs::remove_file(path).expect("removed"),
            "emptied" => bytes.clear(),
            "halved" => bytes.truncate(bytes.len() / 2),
            "older" => bytes.truncate(bytes.len() / 3),
            "garbage" => bytes.fill(0xA5),
            "torn" => bytes.extend_from_slice(b"{\"number\":4,\"su"),
            bit => bytes[bit.parse::<usize>().expect("a place")] ^= 1,
        }
        fs::write(path, bytes).expect("damaged");
    }

    #[rstest]
    fn what_one_copy_lost_the_other_has(
        #[values("removed", "emptied", "halved", "older", "garbage", "torn")] how: &str,
        #[values(0, 1)] copy: usize,
    ) {
        let (folder, paths) = written();
        let before = fs::read(&paths[0]).expect("a copy");
        damage(&paths[copy], how);
        assert_eq!(open(&folder).expect("mended").lines(), LINES);
        for path in &paths {
            assert_eq!(fs::read(path).expect("a copy"), before);
            assert_eq!(fs::metadata(path).expect("a copy").permissions().mode() & 0o777, 0o600);
        }
    }

    /// Any bit of any line: its text, its digest, the words between them, its end.
    #[test]
    fn a_changed_bit_is_seen_wherever_it_is() {
        let (folder, paths) = written();
        let before = fs::read(&paths[0]).expect("a copy");
        for place in 0..before.len() {
            for path in &paths {
                damage(path, &place.to_string());
                let opened = open(&folder).unwrap_or_else(|error| panic!("{place}: {error}"));
                assert_eq!(opened.lines(), LINES, "bit of byte {place}");
                assert_eq!(fs::read(path).expect("a copy"), before, "bit of byte {place}");
            }
        }
    }

    #[rstest]
    #[case::the_same_line("3", "5", "line 1 is changed or lost in both copies")]
    #[case::a_tail_and_what_is_left("emptied", "3", "line 1 is changed or lost in both copies")]
    fn what_no_copy_has_is_refused(#[case] one: &str, #[case] other: &str, #[case] why: &str) {
        let (folder, paths) = written();
        damage(&paths[0], one);
        damage(&paths[1], other);
        let refused = open(&folder).map(|_| ()).expect_err("damaged");
        assert!(refused.to_string().contains(why), "{refused}");
    }

    /// Two stations' files, or a copy of another time: each is sound by itself.
    #[test]
    fn copies_that_tell_different_stories_are_refused() {
        let (folder, paths) = written();
        let (other, others) = written();
        fs::remove_file(&others[0]).expect("removed");
        fs::remove_file(&others[1]).expect("removed");
        open(&other).expect("empty").append(vec!["{\"number\":9}".to_owned()]).expect("written");
        fs::copy(&others[0], &paths[1]).expect("copied");
        let refused = open(&folder).map(|_| ()).expect_err("damaged");
        assert!(refused.to_string().contains("not the same in its two copies"), "{refused}");
    }

    #[test]
    fn a_file_of_an_older_version_is_carried_on() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("a")).expect("made");
        fs::write(folder.path().join("a/b.jsonl"), "{\"number\":1}\n{\"number\":2}\n")
            .expect("made");
        assert_eq!(open(&folder).expect("sound").lines(), &LINES[..2]);
        open(&folder).expect("sound").append(vec![LINES[2].to_owned()]).expect("written");
        assert_eq!(open(&folder).expect("sound").lines(), LINES);
    }
}
