//! Each transcript is played to the stand-in, which must answer as the real one did; and to a real one, where
//! there is one, so that another version is noticed.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::qemu::Emulator;

/// Only a program that hangs meets it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Lines of a transcript: a mark and what follows it.
fn transcript(name: &str) -> Vec<(char, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/emulators/qemu");
    let text =
        fs::read_to_string(folder.join(name).with_extension("txt")).expect("it was recorded");
    let lines = text.lines().map(|line| match line.strip_prefix("exit ") {
        Some(code) => ('e', code.to_owned()),
        None => (line.chars().next().unwrap_or(' '), line.get(2..).unwrap_or_default().to_owned()),
    });
    lines.collect()
}

/// What changes from one process to the next.
fn timeless(line: &str, folder: &TempDir) -> String {
    let digits = |text: &str| text.chars().skip_while(char::is_ascii_digit).collect::<String>();
    let mut line = line.trim_end().replace(&folder.path().display().to_string(), "FOLDER");
    for name in ["\"seconds\": ", "\"microseconds\": "] {
        if let Some((before, after)) = line.split_once(name) {
            line = format!("{before}{name}0{}", digits(after));
        }
    }
    match line.split_once(" from pid ") {
        Some((before, _)) => format!("{before} from pid 0 (SENDER)"),
        None => line,
    }
}

/// JSON whose keys may stand in any order.
fn same(one: &str, other: &str) -> bool {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    one == other || json(one).is_some() && json(one) == json(other)
}

/// A process under the transcript's arguments.
struct Player {
    folder: TempDir,
    child: Child,
    control: BufReader<UnixStream>,
    console: UnixStream,
    _frames: UnixStream,
}

impl Player {
    fn start(emulator: &Emulator, command_line: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("flash.bin"), vec![0xFF; 4 << 20]).expect("a flash");
        let listen = |name| UnixListener::bind(folder.path().join(name)).expect("a socket");
        let (control, console) = (listen("q"), listen("c"));
        let (frames, theirs) = UnixStream::pair().expect("a pair");
        let line = command_line.replace("FOLDER", &folder.path().display().to_string());
        let mut words = line.split(' ');
        let program = emulator.folder().join(words.next().expect("a program"));
        let mut command = Command::new(program);
        command
            .args(words)
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command.spawn().expect("it starts");
        let accept = |listener: &UnixListener| {
            let (stream, _) = listener.accept().expect("it connects");
            stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
            stream
        };
        let control = BufReader::new(accept(&control));
        let console = accept(&console);
        Self { folder, child, control, console, _frames: frames }
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        // A real one resets the connection now and then as it ends, and its last event with it.
        let _read = self.control.read_line(&mut line);
        timeless(&line, &self.folder)
    }

    fn tell(&mut self, line: &str) {
        match line {
            "signal SIGTERM" => {
                kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it runs");
            }
            line => {
                self.control.get_mut().write_all(format!("{line}\n").as_bytes()).expect("heard")
            }
        }
    }

    fn hear(&mut self, text: &str) {
        let mut heard = Vec::new();
        while !String::from_utf8_lossy(&heard).contains(text) {
            let mut buffer = [0; 256];
            let count = self.console.read(&mut buffer).expect("the console says more");
            assert!(
                count > 0,
                "the console ends before {text}: {}",
                String::from_utf8_lossy(&heard)
            );
            heard.extend(&buffer[..count]);
        }
    }

    fn ended(mut self) -> (String, Vec<String>) {
        let code = self
            .child
            .wait()
            .expect("it ends")
            .code()
            .map_or("none".into(), |code| code.to_string());
        let mut said = String::new();
        self.child.stdout.take().expect("its output").read_to_string(&mut said).expect("text");
        self.child.stderr.take().expect("its errors").read_to_string(&mut said).expect("text");
        (code, said.lines().map(|line| timeless(line, &self.folder)).collect())
    }
}

/// A test that fails leaves no process behind.
impl Drop for Player {
    fn drop(&mut self) {
        // Both fail only when it has ended.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn play(emulator: &Emulator, name: &str) {
    let lines = transcript(name);
    let mut lines = lines.iter().map(|(mark, text)| (*mark, text.as_str())).peekable();
    let Some(('$', command_line)) = lines.next() else {
        panic!("a transcript begins with its command")
    };
    let mut player = Player::start(emulator, command_line);
    while let Some((mark, text)) = lines.next_if(|(mark, _)| !matches!(mark, '!' | 'e')) {
        match mark {
            '>' => player.tell(text),
            // The last of several console lines is waited for; the ROM's own words are the simulator's affair.
            '=' if lines.peek().is_some_and(|(mark, _)| *mark == '=') => {}
            '=' => player.hear(text),
            _ => {
                let answer = player.answer();
                assert!(same(&answer, text), "{name}: expected {text}, got {answer}");
            }
        }
    }
    let mut said: Vec<&str> = Vec::new();
    while let Some((_, text)) = lines.next_if(|(mark, _)| *mark == '!') {
        said.push(text);
    }
    let code = lines.next().expect("it ended").1;
    let (ended, words) = player.ended();
    assert_eq!(
        (ended.as_str(), words),
        (code, said.iter().map(ToString::to_string).collect()),
        "{name}"
    );
}

fn play_errors(emulator: &Emulator) {
    let lines = transcript("errors");
    for block in lines.split_inclusive(|(mark, _)| *mark == 'e') {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("odd.bin"), vec![0xFF; 12345]).expect("a flash");
        let line = block[0].1.replace("FOLDER", &folder.path().display().to_string());
        let mut words = line.split(' ');
        let program = emulator.folder().join(words.next().expect("a program"));
        let ended =
            Command::new(program).args(words).stdin(Stdio::null()).output().expect("it starts");
        let said = String::from_utf8_lossy(&ended.stderr);
        let said: Vec<String> = said.lines().map(|line| timeless(line, &folder)).collect();
        let expected: Vec<&str> =
            block.iter().filter(|(mark, _)| *mark == '!').map(|(_, text)| text.as_str()).collect();
        let code = ended.status.code().map(|code| code.to_string());
        assert_eq!(said, expected, "{line}");
        assert_eq!(code.as_deref(), block.last().map(|(_, code)| code.as_str()), "{line}");
    }
}

#[rstest]
fn the_stand_in_answers_as_a_real_one_did(
    #[values(
        "esp32-still",
        "esp32-run",
        "esp32-download",
        "esp32c3-still",
        "esp32c3-run",
        "esp32c3-download"
    )]
    name: &str,
) {
    play(&Emulator::stand_in(), name);
}

#[test]
fn the_stand_in_refuses_what_a_real_one_refused() {
    play_errors(&Emulator::stand_in());
}

#[test]
fn a_real_one_still_answers_so() {
    let Some(emulator) = Emulator::real() else { return };
    for name in [
        "esp32-still",
        "esp32-run",
        "esp32-download",
        "esp32c3-still",
        "esp32c3-run",
        "esp32c3-download",
    ] {
        play(&emulator, name);
    }
    play_errors(&emulator);
}
