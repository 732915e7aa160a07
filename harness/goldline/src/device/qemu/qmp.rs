//! QEMU's control connection: one JSON object a line each way.
//!
//! The format is QEMU's "QMP" (docs/interop/qmp-spec); three commands of it are used here, and events are
//! passed over. Must not know what the machine is.

use std::{
    io::{self, BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use serde_json::{Value, json};

/// QEMU answers at once; only a machine that stands still does not.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// Longest line that is believed: a greeting is some 500 bytes.
const LINE_LIMIT: u64 = 64 * 1024;

/// QEMU did not do as it was told.
#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    /// The connection broke, or no answer came.
    #[error("its control socket failed on {command}: {source}")]
    Socket {
        /// What was asked.
        command: &'static str,
        /// Why.
        source: io::Error,
    },
    /// It said no.
    #[error("it refused {command}: {reason}")]
    Refused {
        /// What was asked.
        command: &'static str,
        /// Its words.
        reason: String,
    },
    /// It answered what was not asked.
    #[error("its answer to {command} is not understood: {answer}")]
    Answer {
        /// What was asked.
        command: &'static str,
        /// What it said.
        answer: String,
    },
}

/// An open control connection.
pub(super) struct Qmp {
    reader: BufReader<UnixStream>,
}

impl Qmp {
    /// Greets a QEMU that has just connected.
    pub(super) fn greet(stream: UnixStream) -> Result<Self, QmpError> {
        let command = "qmp_capabilities";
        stream
            .set_read_timeout(Some(ANSWER_LIMIT))
            .map_err(|source| QmpError::Socket { command, source })?;
        let mut qmp = Self { reader: BufReader::new(stream) };
        let greeting = qmp.line(command)?;
        if greeting.get("QMP").is_none() {
            return Err(QmpError::Answer { command, answer: greeting.to_string() });
        }
        qmp.execute(command)?;
        Ok(qmp)
    }

    /// Has a command carried out, and gives what it returns.
    pub(super) fn execute(&mut self, command: &'static str) -> Result<Value, QmpError> {
        self.send(command, &json!({ "execute": command }))
    }

    /// Has a line of QEMU's monitor carried out, and gives its text.
    pub(super) fn monitor(&mut self, line: &str) -> Result<String, QmpError> {
        let command = "human-monitor-command";
        let arguments = json!({ "command-line": line });
        let request = json!({ "execute": command, "arguments": arguments });
        let text = self.send(command, &request)?;
        let understood = text.as_str().map(str::to_owned);
        understood.ok_or_else(|| QmpError::Answer { command, answer: text.to_string() })
    }

    /// The registers of a core, as QEMU's monitor prints them.
    pub(super) fn registers(&mut self, core: u32) -> Result<String, QmpError> {
        let command = "human-monitor-command";
        let arguments = json!({ "command-line": "info registers", "cpu-index": core });
        let text = self.send(command, &json!({ "execute": command, "arguments": arguments }))?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    fn send(&mut self, command: &'static str, request: &Value) -> Result<Value, QmpError> {
        let sent = self.reader.get_mut().write_all(format!("{request}\n").as_bytes());
        sent.map_err(|source| QmpError::Socket { command, source })?;
        loop {
            let mut answer = self.line(command)?;
            if let Some(error) = answer.get("error") {
                let reason = error.get("desc").and_then(Value::as_str).unwrap_or("no reason");
                return Err(QmpError::Refused { command, reason: reason.to_owned() });
            }
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
            // An event: it tells what nobody asked.
        }
    }

    fn line(&mut self, command: &'static str) -> Result<Value, QmpError> {
        let mut line = String::new();
        let read = io::Read::take(&mut self.reader, LINE_LIMIT).read_line(&mut line);
        match read {
            Ok(0) => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
        .map_err(|source| QmpError::Socket { command, source })?;
        serde_json::from_str(&line).map_err(|_| QmpError::Answer { command, answer: line })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A QEMU that says these lines, one after each that it is told.
    fn qemu(lines: &'static [&'static str]) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        std::thread::spawn(move || {
            let mut told = BufReader::new(theirs.try_clone().expect("its other end"));
            for (at, line) in lines.iter().enumerate() {
                if at > 0 {
                    told.read_line(&mut String::new()).expect("it is told something");
                }
                (&theirs).write_all(line.as_bytes()).expect("it is heard");
            }
        });
        ours
    }

    const HELLO: &str = "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\r\n";

    #[test]
    fn events_are_no_answers() {
        let event =
            "{\"timestamp\": {}, \"event\": \"RESUME\"}\r\n{\"return\": {\"running\": true}}\r\n";
        let lines = Box::leak(Box::new([HELLO, "{\"return\": {}}\r\n", event]));
        let mut qmp = Qmp::greet(qemu(lines)).expect("greeted");
        assert_eq!(qmp.execute("query-status").expect("answered"), json!({ "running": true }));
    }

    #[test]
    fn a_refusal_has_qemus_words() {
        let refusal =
            "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"no such command\"}}\r\n";
        let lines = Box::leak(Box::new([HELLO, "{\"return\": {}}\r\n", refusal]));
        let mut qmp = Qmp::greet(qemu(lines)).expect("greeted");
        let said = qmp.execute("fly").expect_err("refused").to_string();
        assert_eq!(said, "it refused fly: no such command");
    }

    #[test]
    fn what_is_no_qemu_is_not_believed() {
        let error = Qmp::greet(qemu(&["HTTP/1.1 200 OK\r\n"])).err().expect("refused");
        assert!(error.to_string().contains("HTTP/1.1"), "{error}");
    }
}
