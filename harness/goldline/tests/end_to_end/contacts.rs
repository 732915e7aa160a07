//! The contacts of a nest: a bridge with a serial port of its own, and the units that are laid in behind it, each the
//! simulator in a process of its own. What comes to pass there does so at a step of a run, before its next byte.
//!
//! The port is a pseudo-terminal; a program of the jig presses the buttons of whichever unit lies there.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::symlink,
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use goldline::process::ChildGuard;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags, fcntl_setfl, open},
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, tcgetattr, tcsetattr},
};

use super::program::Station;

const DEADLINE: Duration = Duration::from_secs(120);

const LOOK: Duration = Duration::from_micros(500);

/// What happens at a nest.
pub type Event = Box<dyn FnOnce(&Nest) + Send>;

/// A nest's contacts; units and bridge end with it.
pub struct Nest {
    station: PathBuf,
    name: String,
    /// Of the unit that lies there first.
    mac: String,
    at: Mutex<At>,
    units: Vec<Unit>,
    is_over: AtomicBool,
}

struct At {
    bridge: Option<File>,
    /// Which unit lies there, if any.
    lies: Option<usize>,
    /// What is to come, and at which step.
    event: Option<Coming>,
}

struct Coming {
    stage: String,
    event: Event,
}

/// A step in which the bench only listens.
const QUIET: &str = "steady";

struct Unit {
    process: Mutex<ChildGuard>,
    pid: Pid,
    wire: TcpStream,
}

impl Nest {
    /// A nest whose port is the link `name`, with the units that may come to lie in it, by the options of each; the
    /// first does.
    pub fn set_up(station: &Station, name: &str, units: &[&[&str]]) -> Held {
        let mac = units[0].windows(2).find(|pair| pair[0] == "--mac").expect("its address")[1];
        let units: Vec<Unit> = units.iter().map(|options| Unit::start(station, options)).collect();
        let at = At { bridge: None, lies: Some(0), event: None };
        let nest = Arc::new(Self {
            station: station.path(""),
            name: name.to_owned(),
            mac: mac.to_owned(),
            at: Mutex::new(at),
            units,
            is_over: AtomicBool::new(false),
        });
        nest.plug_bridge_in();
        for number in 0..nest.units.len() {
            let nest = Arc::clone(&nest);
            thread::spawn(move || nest.hear_unit(number));
        }
        let (buttons, port) =
            (TcpListener::bind("127.0.0.1:0").expect("a port"), Arc::clone(&nest));
        let address = buttons.local_addr().expect("its address");
        thread::spawn(move || port.press_buttons(&buttons));
        let port = Arc::clone(&nest);
        thread::spawn(move || port.carry_to_units());
        let script = format!(
            "#!/bin/bash\necho $$ > {name}.pressing\nexec 3<>/dev/tcp/127.0.0.1/{} && echo \"$1\" >&3 && read -r _ <&3\n",
            address.port()
        );
        station.executable(&format!("press-{name}"), script);
        Held(nest)
    }

    /// What `--device` says of it.
    pub fn device(&self) -> String {
        let program = self.station.join(format!("press-{}", self.name));
        format!("serial:{}?reset=command:{}", self.name, program.display())
    }

    /// Lets something come to pass when the run comes to that step of the unit that lies there: when its first bytes
    /// have left the bench, or before the jig's program presses a button for it.
    pub fn at_stage(&self, stage: &str, event: impl FnOnce(&Self) + Send + 'static) {
        self.at().event = Some(Coming { stage: stage.to_owned(), event: Box::new(event) });
    }

    /// Waits until the run has come to that step.
    pub fn await_stage(&self, stage: &str) {
        let began = Instant::now();
        while !self.has_come_to(stage) {
            assert!(began.elapsed() < DEADLINE, "it never came to {stage}");
            thread::sleep(LOOK);
        }
    }

    /// Whether it came to pass.
    pub fn has_come_to_pass(&self) -> bool {
        self.at().event.is_none()
    }

    /// Another unit is laid in, and gets its power; or none.
    pub fn lay_in(&self, unit: Option<usize>) {
        self.at().lies = unit;
        if let Some(unit) = unit {
            self.press(unit, "application");
        }
    }

    /// The supply of the unit that lies there fails for a moment.
    pub fn brown_out(&self) {
        self.press_button("application");
    }

    /// Somebody presses a button of the unit that lies there.
    pub fn press_button(&self, button: &str) {
        let lies = self.at().lies;
        self.press(lies.expect("a unit lies there"), button);
    }

    /// The bridge leaves the bus.
    pub fn unplug_bridge(&self) {
        // Before its number is another's.
        fs::remove_file(self.station.join(&self.name)).expect("it was there");
        self.at().bridge = None;
    }

    /// The bridge comes, as another node.
    pub fn plug_bridge_in(&self) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .expect("a pseudo-terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("it may be used");
        let node = ptsname(&master, Vec::new()).expect("its name").into_string().expect("UTF-8");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let port = open(node.as_str(), flags, Mode::empty()).expect("it opens");
        let mut attributes = tcgetattr(&port).expect("its settings");
        attributes.make_raw();
        tcsetattr(&port, OptionalActions::Now, &attributes).expect("it is raw");
        fcntl_setfl(&master, OFlags::NONBLOCK).expect("it can be asked without waiting");
        self.at().bridge = Some(File::from(master));
        symlink(node, self.station.join(&self.name)).expect("a link");
    }

    /// It resets itself.
    pub fn reset_bridge(&self) {
        self.unplug_bridge();
        self.plug_bridge_in();
    }

    /// Waits for the process that presses a button at this moment, if any, to have ended.
    pub fn nobody_presses(&self) {
        let file = self.station.join(format!("{}.pressing", self.name));
        let Ok(pid) = fs::read_to_string(file) else { return };
        let began = Instant::now();
        let runs = || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
            stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        while runs() {
            assert!(began.elapsed() < DEADLINE, "the jig's program {pid} outlives its run");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn at(&self) -> MutexGuard<'_, At> {
        self.at.lock().expect("no thread panics at the nest")
    }

    fn come_to_pass(&self) {
        let mut at = self.at();
        let coming = at.event.take_if(|coming| self.has_come_to(&coming.stage));
        drop(at);
        if let Some(Coming { event, .. }) = coming {
            event(self);
        }
    }

    /// Whether the newest run has come to that step with the unit that lay there first. What it does before it changes
    /// anything is noted nowhere.
    fn has_come_to(&self, stage: &str) -> bool {
        let journal = fs::read_to_string(self.station.join("state/journal.jsonl"));
        let journal = journal.unwrap_or_default();
        let newest = journal.rsplit("\"event\":\"ended\"").next().unwrap_or_default();
        let (stage_is, mac_is) =
            (format!("\"stage\":\"{stage}\""), format!("\"mac\":\"{}\"", self.mac));
        stage == "identify"
            || newest.lines().any(|line| line.contains(&stage_is) && line.contains(&mac_is))
    }

    fn press(&self, unit: usize, button: &str) {
        let signal = if button == "download" { Signal::USR2 } else { Signal::USR1 };
        kill_process(self.units[unit].pid, signal).expect("the unit runs");
    }

    fn press_buttons(&self, buttons: &TcpListener) {
        for client in buttons.incoming() {
            let mut client = client.expect("a client");
            let mut button = String::new();
            let reads = client.try_clone().map(BufReader::new);
            // Whoever asked may have been killed.
            if reads.and_then(|mut reads| reads.read_line(&mut button)).is_err() {
                continue;
            }
            self.come_to_pass();
            let lies = self.at().lies;
            if let Some(unit) = lies {
                self.press(unit, button.trim());
            }
            let _killed = client.write_all(b"done\n");
        }
    }

    fn carry_to_units(&self) {
        let mut piece = [0; 4096];
        while !self.is_over.load(Ordering::Acquire) {
            let count =
                self.at().bridge.as_mut().map_or(0, |bridge| bridge.read(&mut piece).unwrap_or(0));
            if count == 0 {
                thread::sleep(LOOK);
            }
            let is_quiet = |coming: &Coming| coming.stage == QUIET;
            if count > 0 || self.at().event.as_ref().is_some_and(is_quiet) {
                self.come_to_pass();
            }
            let lies = self.at().lies;
            if let Some(unit) = lies.filter(|_| count > 0) {
                (&self.units[unit].wire).write_all(&piece[..count]).expect("the unit hears");
            }
        }
    }

    fn hear_unit(&self, number: usize) {
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = (&self.units[number].wire).read(&mut piece) {
            self.carry_from(number, &piece[..count]);
        }
    }

    /// What nobody hears is lost, as on a wire.
    fn carry_from(&self, number: usize, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let mut at = self.at();
            let is_there = at.lies == Some(number);
            let Some(bridge) = at.bridge.as_mut().filter(|_| is_there) else { return };
            let is_open = {
                let mut polled = [PollFd::new(&*bridge, PollFlags::OUT)];
                let now = Timespec { tv_sec: 0, tv_nsec: 0 };
                poll(&mut polled, Some(&now)).is_ok()
                    && !polled[0].revents().contains(PollFlags::HUP)
            };
            if !is_open {
                return;
            }
            match bridge.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(_) => {
                    drop(at);
                    thread::sleep(LOOK);
                }
            }
        }
    }
}

impl Unit {
    fn start(station: &Station, options: &[&str]) -> Self {
        let mut command = station.command();
        command.args(["simulator", "serve", "--tcp", "127.0.0.1:0"]).args(options);
        let mut process = ChildGuard::spawn(command.stdout(Stdio::piped())).expect("it starts");
        let output = process.child().stdout.take().expect("stdout is a pipe");
        let mut url = String::new();
        BufReader::new(output).read_line(&mut url).expect("it says its port");
        let address = url.trim_end().strip_prefix("socket://").expect("its address").to_owned();
        let pid = Pid::from_child(process.child());
        let wire = TcpStream::connect(address).expect("it listens");
        wire.set_nodelay(true).expect("at once");
        Self { process: Mutex::new(process), pid, wire }
    }
}

/// Ends the threads of a nest with the test.
pub struct Held(Arc<Nest>);

impl Held {
    /// For what comes to pass at another nest.
    pub fn shared(&self) -> Arc<Nest> {
        Arc::clone(&self.0)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Release);
        for unit in &self.0.units {
            if let Ok(mut process) = unit.process.lock() {
                let _ended = process.child().kill();
            }
        }
    }
}

impl std::ops::Deref for Held {
    type Target = Nest;

    fn deref(&self) -> &Nest {
        &self.0
    }
}
