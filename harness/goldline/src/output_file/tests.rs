//! What is written, what is refused, and that nothing is lost by either.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, symlink},
        net::UnixListener,
    },
};

use rstest::rstest;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::*;

const EARLIER: &[u8] = b"earlier";
const FRESH: &[u8] = b"fresh";

struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file with these permission bits.
    fn file(&self, name: &str, mode: u32) -> PathBuf {
        fs::write(self.path(name), EARLIER).expect("written");
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).expect("chmod");
        self.path(name)
    }

    fn link(&self, name: &str, target: &str) -> PathBuf {
        symlink(self.path(target), self.path(name)).expect("a link");
        self.path(name)
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).expect("it is there").permissions().mode() & 0o777
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("it is there")
    }

    fn names(&self) -> usize {
        fs::read_dir(self.0.path()).expect("the folder").count()
    }
}

#[rstest]
#[case::owner(Readers::Owner, 0o600)]
#[case::umask(Readers::AsBefore, 0o640)]
fn an_earlier_file_is_replaced_when_asked_for(#[case] readers: Readers, #[case] mode: u32) {
    let desk = Desk::new();
    let path = desk.file("file", 0o640);
    OutputFile::at(&path, Existing::Replace, readers).expect("asked for").write(FRESH).expect("ok");
    assert_eq!((desk.read("file").as_slice(), desk.mode("file"), desk.names()), (FRESH, mode, 1));
}

#[test]
fn a_new_secret_is_its_owners_alone() {
    let desk = Desk::new();
    let file = OutputFile::at(&desk.path("key"), Existing::Refuse, Readers::Owner).expect("free");
    assert_eq!(desk.names(), 0, "a look makes nothing");
    file.write(FRESH).expect("written");
    assert_eq!((desk.read("key").as_slice(), desk.mode("key"), desk.names()), (FRESH, 0o600, 1));
}

#[test]
fn an_earlier_file_stays_when_nobody_asked() {
    let desk = Desk::new();
    let path = desk.file("file", 0o644);
    let refused = OutputFile::at(&path, Existing::Refuse, Readers::AsBefore);
    assert!(matches!(refused, Err(OutputError::Exists { .. })), "{refused:?}");
    assert_eq!((desk.read("file").as_slice(), desk.names()), (EARLIER, 1));
}

#[test]
fn what_came_in_the_meantime_is_not_lost() {
    let desk = Desk::new();
    let free = |readers| OutputFile::at(&desk.path("file"), Existing::Refuse, readers);
    let (open, secret) = (free(Readers::AsBefore).expect("free"), free(Readers::Owner));
    desk.file("file", 0o644);
    assert!(matches!(open.write(FRESH), Err(OutputError::Exists { .. })));
    open.write(EARLIER).expect("the very same bytes are no loss");
    let secret = secret.expect("free").write(EARLIER);
    assert!(matches!(secret, Err(OutputError::Exists { .. })), "others can read it: {secret:?}");
    assert_eq!((desk.read("file").as_slice(), desk.mode("file")), (EARLIER, 0o644));
    assert_eq!(desk.names(), 1, "nothing lies beside it");
}

#[rstest]
fn what_took_the_place_of_a_file_in_the_meantime_stays(
    #[values(Existing::Refuse, Existing::Replace)] existing: Existing,
) {
    let desk = Desk::new();
    let file = OutputFile::at(&desk.path("file"), existing, Readers::Owner).expect("free");
    let mode = Mode::from_raw_mode(0o644);
    mknodat(CWD, desk.path("file"), FileType::Fifo, mode, 0).expect("a named pipe");
    let refused = file.write(FRESH);
    assert!(matches!(refused, Err(OutputError::NotRegular { .. })), "{refused:?}");
    let found = fs::symlink_metadata(desk.path("file")).expect("it is there").file_type();
    assert_eq!((Found::of(found), desk.names()), (Found::NamedPipe, 1));
}

#[rstest]
fn only_regular_files_are_written(
    #[values(Existing::Refuse, Existing::Replace)] existing: Existing,
    #[values(Readers::AsBefore, Readers::Owner)] readers: Readers,
) {
    let desk = Desk::new();
    fs::create_dir(desk.path("folder")).expect("a folder");
    let _socket = UnixListener::bind(desk.path("socket")).expect("a socket");
    let mode = Mode::from_raw_mode(0o644);
    mknodat(CWD, desk.path("pipe"), FileType::Fifo, mode, 0).expect("a named pipe");
    desk.link("link", "pipe");
    desk.link("dangling", "nowhere");
    for (name, what) in [
        ("folder", Found::Folder),
        ("socket", Found::Socket),
        ("pipe", Found::NamedPipe),
        ("link", Found::Link),
        ("dangling", Found::DanglingLink),
    ] {
        let refused = OutputFile::at(&desk.path(name), existing, readers);
        match refused {
            Err(OutputError::NotRegular { found, .. }) => assert_eq!(found, what),
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!(desk.names(), 5);
}

#[test]
fn a_link_is_followed_only_when_asked_for() {
    let desk = Desk::new();
    desk.file("file", 0o644);
    let link = desk.link("link", "file");
    let refused = OutputFile::at(&link, Existing::Refuse, Readers::Owner);
    assert!(matches!(refused, Err(OutputError::Link { .. })), "{refused:?}");
    let file = OutputFile::at(&link, Existing::Replace, Readers::Owner).expect("asked for");
    file.write(FRESH).expect("written");
    assert!(fs::symlink_metadata(&link).expect("it is there").is_symlink());
    assert_eq!((desk.read("file").as_slice(), desk.mode("file")), (FRESH, 0o600));
}

#[test]
fn a_place_that_is_no_place_is_refused() {
    let desk = Desk::new();
    let file = desk.file("file", 0o644);
    let at = |path: &Path| OutputFile::at(path, Existing::Replace, Readers::AsBefore);
    assert!(matches!(at(&desk.path("no/where")), Err(OutputError::NoFolder { .. })));
    assert!(matches!(at(&file.join("below")), Err(OutputError::NoFolder { .. })));
    for name in ["", "..", "new/"] {
        assert!(matches!(at(Path::new(name)), Err(OutputError::NoName { .. })), "{name}");
    }
    assert_eq!((desk.read("file").as_slice(), desk.names()), (EARLIER, 1));
}

#[test]
fn several_files_are_written_all_or_none() {
    let desk = Desk::new();
    let at = |name: &str| OutputFile::at(&desk.path(name), Existing::Refuse, Readers::Owner);
    let (one, other) = (at("one").expect("free"), at("other").expect("free"));
    desk.file("other", 0o644);
    assert!(OutputFile::write_all([(&one, FRESH), (&other, FRESH)]).is_err());
    assert!(!desk.path("one").exists());
    assert_eq!((desk.read("other").as_slice(), desk.names()), (EARLIER, 1));
}

#[test]
fn a_folder_is_made_when_it_is_asked_for() {
    let desk = Desk::new();
    let folder = OutputFolder::at(&desk.path("new/folder")).expect("it can be made");
    let key = folder.file("key", Existing::Refuse, Readers::Owner).expect("nothing is there");
    assert_eq!(desk.names(), 0, "a look makes nothing");
    folder.make(Readers::Owner).expect("made");
    key.write(FRESH).expect("written");
    assert_eq!((desk.mode("new"), desk.mode("new/folder"), desk.mode("new/folder/key")), {
        (0o700, 0o700, 0o600)
    });
}

#[test]
fn what_is_no_folder_is_refused_as_one() {
    let desk = Desk::new();
    let file = desk.file("file", 0o644);
    let dangling = desk.link("dangling", "nowhere");
    for path in [file.clone(), file.join("below"), dangling.clone(), dangling.join("below")] {
        let refused = OutputFolder::at(&path);
        assert!(matches!(refused, Err(OutputError::NotFolder { .. })), "{}", path.display());
    }
    assert_eq!(desk.names(), 2);
}

#[test]
fn two_names_of_one_place_are_one() {
    let desk = Desk::new();
    desk.file("file", 0o644);
    let link = desk.link("link", "file");
    assert_eq!(place(&link), place(&desk.path("file")));
    assert_eq!(place(&desk.path("./free")), place(&desk.path("free")));
    assert_ne!(place(&desk.path("free")), place(&desk.path("file")));
}
