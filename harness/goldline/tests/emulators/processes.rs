//! The processes of an emulator, known by a folder that their command lines name, and the wait for them.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use rustix::process::Pid;

/// Only a program that hangs meets it.
const PATIENCE: Duration = Duration::from_secs(120);

/// One that runs.
pub struct Process {
    pub pid: Pid,
    /// Its command line.
    words: Vec<String>,
}

impl Process {
    /// Whether it is that program, called with that word.
    pub fn is(&self, program: &str, called_with: &str) -> bool {
        self.words.first().is_some_and(|word| word.ends_with(program)) && self.has(called_with)
    }

    pub fn has(&self, word: &str) -> bool {
        self.words.iter().any(|own| own == word)
    }
}

/// Those that name the folder, the watcher of each emulator included.
pub fn naming(folder: &Path) -> Vec<Process> {
    let folder = folder.display().to_string();
    let of_ours = |entry: fs::DirEntry| {
        let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line);
        let words = line.split('\0').map(str::to_owned).collect();
        line.contains(&folder).then_some(Process { pid, words })
    };
    fs::read_dir("/proc").expect("/proc").flatten().filter_map(of_ours).collect()
}

/// Nobody tells when a process of others comes or goes: it is looked for.
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what} never came");
        std::thread::sleep(Duration::from_millis(2));
    }
}
