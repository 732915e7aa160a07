//! The control connection, in the words that the transcripts show.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::atomic::{AtomicBool, Ordering},
};

use goldline_simulator::Mode;
use serde_json::{Value, json};

use crate::{arguments::Arguments, guest::Guest};

/// The greeting of the transcripts.
const HELLO: &str = r#"{"QMP": {"version": {"qemu": {"micro": 3, "minor": 1, "major": 8}, "package": ""}, "capabilities": ["oob"]}}"#;

/// Whether the machine runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Prelaunch,
    Running,
    Paused,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Prelaunch => "prelaunch",
            Self::Running => "running",
            Self::Paused => "paused",
        }
    }
}

/// An open control connection and the machine behind it.
pub struct Control {
    reader: BufReader<UnixStream>,
    mode: Mode,
    guest: Guest,
    status: Status,
}

/// Ends a connection that somebody waits on.
pub struct HangUp(UnixStream);

impl HangUp {
    /// Whoever reads it sees its end; it can still be written to.
    pub fn now(&self) {
        let _ended = self.0.shutdown(Shutdown::Read);
    }
}

impl Control {
    pub fn new(
        stream: UnixStream,
        arguments: Arguments,
        guest: Guest,
    ) -> Result<(Self, HangUp), String> {
        let hang_up = HangUp(stream.try_clone().map_err(|error| error.to_string())?);
        let mut control = Self {
            reader: BufReader::new(stream),
            mode: arguments.mode,
            guest,
            status: Status::Prelaunch,
        };
        if arguments.runs {
            control.start()?;
        }
        Ok((control, hang_up))
    }

    /// Does as it is told until it is told to quit, or gets a signal. Whoever told it may go: a real one runs on.
    pub fn serve(mut self, terminated: &AtomicBool) -> Result<(), String> {
        self.say(HELLO);
        let mut line = String::new();
        loop {
            line.clear();
            let heard = self.reader.read_line(&mut line);
            if terminated.load(Ordering::Acquire) {
                self.end("host-signal");
                return Ok(());
            }
            if matches!(heard, Ok(0) | Err(_)) {
                std::thread::park();
                continue;
            }
            let request: Value = serde_json::from_str(&line).unwrap_or_default();
            let command = request["execute"].as_str().unwrap_or_default().to_owned();
            if command == "quit" {
                self.say(r#"{"return": {}}"#);
                self.end("host-qmp-quit");
                return Ok(());
            }
            let answer = self.answer(&command, &request)?;
            self.say(&answer.to_string());
            if command == "system_reset" {
                self.event("RESET", Some("host-qmp-system-reset"));
            }
        }
    }

    fn answer(&mut self, command: &str, request: &Value) -> Result<Value, String> {
        match command {
            "qmp_capabilities" => {}
            "query-status" => {
                let running = self.status == Status::Running;
                let status = self.status.name();
                return Ok(
                    json!({ "return": { "status": status, "singlestep": false, "running": running } }),
                );
            }
            "stop" => {
                if self.status == Status::Running {
                    // The simulator cannot stand still: it is off until it goes on, which only a reset lets it.
                    self.guest.off();
                    self.event("STOP", None);
                }
                self.status = Status::Paused;
            }
            "cont" => {
                if self.status != Status::Running {
                    self.start()?;
                    self.event("RESUME", None);
                }
            }
            "system_reset" => {
                if self.status == Status::Running {
                    self.guest.reset_into(self.mode);
                }
            }
            "human-monitor-command" => {
                let line = request["arguments"]["command-line"].as_str().unwrap_or_default();
                if line == "info registers" {
                    return Ok(json!({ "return": self.guest.registers() }));
                }
                return Ok(match self.memory(line) {
                    Some(text) => json!({ "return": text }),
                    None => json!({ "return": format!("unknown command: '{line}'\r\n") }),
                });
            }
            other => {
                let words = format!("The command {other} has not been found");
                return Ok(json!({ "error": { "class": "CommandNotFound", "desc": words } }));
            }
        }
        Ok(json!({ "return": {} }))
    }

    fn start(&mut self) -> Result<(), String> {
        self.guest.on(self.mode)?;
        self.status = Status::Running;
        Ok(())
    }

    /// `xp /2xw ADDRESS`, where the address is that of the base MAC.
    fn memory(&self, line: &str) -> Option<String> {
        let address = line.strip_prefix("xp /2xw 0x")?;
        let address = u64::from_str_radix(address, 16).ok()?;
        let [first, second, third, fourth, fifth, sixth] = self.guest.mac();
        let low = u32::from_be_bytes([third, fourth, fifth, sixth]);
        let high = u32::from_be_bytes([0, self.guest.mac_digest(), first, second]);
        Some(format!("{address:016x}: {low:#010x} {high:#010x}\r\n"))
    }

    fn end(&mut self, reason: &str) {
        self.guest.off();
        self.event("SHUTDOWN", Some(reason));
    }

    fn event(&mut self, name: &str, reason: Option<&str>) {
        let mut event = json!({ "timestamp": { "seconds": 0, "microseconds": 0 }, "event": name });
        if let Some(reason) = reason {
            event["data"] = json!({ "guest": false, "reason": reason });
        }
        self.say(&event.to_string());
    }

    fn say(&mut self, line: &str) {
        let said: io::Result<()> =
            self.reader.get_mut().write_all(format!("{line}\r\n").as_bytes());
        // A listener that is gone hears nothing.
        let _heard = said;
    }
}
