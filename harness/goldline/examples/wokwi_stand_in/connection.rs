//! One client: its token, its files, and its simulation.

use std::{collections::BTreeMap, io, net::TcpStream, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tungstenite::{
    Error, Message, WebSocket, accept_hdr,
    handshake::server::{ErrorResponse, Request, Response},
    http::StatusCode,
};

use crate::{board::Board, conduct::Conduct, pause_points::PausePoints, simulation::Simulation};

/// How long a client is listened to before the unit is.
const SLICE: Duration = Duration::from_millis(2);
/// What erased flash reads.
const ERASED: u8 = 0xFF;

/// Until the client goes.
pub fn serve(stream: TcpStream, token: &str, conduct: &Conduct) {
    let expected = format!("Bearer {token}");
    #[expect(clippy::result_large_err, reason = "the form of tungstenite's callback")]
    let check = |request: &Request, response: Response| {
        let shown = request.headers().get("Authorization").and_then(|value| value.to_str().ok());
        let refuse = |status: StatusCode| {
            let mut response = ErrorResponse::new(None);
            *response.status_mut() = status;
            response
        };
        if let Some(status) = conduct.status.and_then(|status| StatusCode::from_u16(status).ok()) {
            return Err(refuse(status));
        }
        match shown == Some(&expected) {
            true => Ok(response),
            false => Err(refuse(StatusCode::UNAUTHORIZED)),
        }
    };
    let Ok(socket) = accept_hdr(stream, check) else { return };
    if let Err(error) = socket.get_ref().set_read_timeout(Some(SLICE)) {
        return eprintln!("wokwi_stand_in: {error}");
    }
    let mut connection = Connection {
        token,
        socket,
        conduct,
        files: BTreeMap::new(),
        is_listened_to: false,
        simulation: None,
        pause_points: PausePoints::default(),
        printed: 0,
    };
    if let Err(error) = connection.serve()
        && !matches!(error, Error::ConnectionClosed | Error::AlreadyClosed | Error::Protocol(_))
    {
        eprintln!("wokwi_stand_in: {error}");
    }
}

struct Connection<'a> {
    token: &'a str,
    socket: WebSocket<TcpStream>,
    conduct: &'a Conduct,
    files: BTreeMap<String, Vec<u8>>,
    is_listened_to: bool,
    simulation: Option<Simulation>,
    pause_points: PausePoints,
    /// Bytes of the console, over all.
    printed: usize,
}

/// Why a command is not carried out.
struct Refusal {
    code: i64,
    message: String,
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self { code: 1, message }
    }
}

impl From<&str> for Refusal {
    fn from(message: &str) -> Self {
        message.to_owned().into()
    }
}

impl Connection<'_> {
    fn serve(&mut self) -> Result<(), Error> {
        if !self.conduct.is_silent {
            let version = self.conduct.version.unwrap_or(1);
            self.send(&json!({
                "type": "hello",
                "protocolVersion": version,
                "appName": "Wokwi (a stand-in)",
                "appVersion": "1.0.0",
            }))?;
        }
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => self.hear(text.as_str())?,
                Ok(_) => {}
                Err(Error::Io(error)) if is_timeout(&error) => {}
                Err(error) => return Err(error),
            }
            self.pass_on()?;
        }
    }

    fn hear(&mut self, text: &str) -> Result<(), Error> {
        let message: Value = serde_json::from_str(text).unwrap_or_default();
        let (Some("command"), Some(command), Some(id)) =
            (message["type"].as_str(), message["command"].as_str(), message["id"].as_str())
        else {
            return self.send(&json!({ "type": "error", "message": "Invalid message" }));
        };
        self.conduct.note(command);
        if self.has_printed(self.conduct.mute_after) {
            return Ok(());
        }
        let done = match self.conduct.refuse.as_deref() == Some(command) {
            // As a careless service would say it.
            true => {
                Err(Refusal { code: 402, message: format!("Not in the plan of {}", self.token) })
            }
            false => self.carry_out(command, &message["params"]),
        };
        let (error, result) = match done {
            Ok(result) => (false, result),
            Err(Refusal { code, message }) => (true, json!({ "code": code, "message": message })),
        };
        self.send(&json!({
            "type": "response",
            "command": command,
            "id": id,
            "result": result,
            "error": error,
        }))
    }

    fn carry_out(&mut self, command: &str, params: &Value) -> Result<Value, Refusal> {
        match command {
            "file:upload" => self.upload(params)?,
            "file:download" => return self.download(params),
            "serial-monitor:listen" => self.is_listened_to = true,
            "serial-monitor:write" => {
                let bytes: Vec<u8> = serde_json::from_value(params["bytes"].clone())
                    .map_err(|error| error.to_string())?;
                self.simulation()?.type_bytes(&bytes)?;
            }
            "pause-point:add" => {
                let now = self.simulation.as_ref().map_or(0, Simulation::nanos);
                self.pause_points.add(params, now)?;
            }
            "pause-point:remove" => {
                self.pause_points.remove(params["id"].as_str().unwrap_or_default());
            }
            "sim:start" => self.start(params)?,
            "sim:pause" => self.simulation()?.pause(),
            "sim:resume" => {
                let after = params["pauseAfter"].as_f64();
                self.simulation()?.resume()?;
                if let Some(nanos) = after {
                    let point = json!({ "id": "", "type": "time-relative", "nanos": nanos });
                    let now = self.simulation()?.nanos();
                    self.pause_points.add(&point, now)?;
                }
            }
            "sim:restart" => {
                let simulation = self.simulation()?;
                simulation.restart();
                if params["pause"] != true {
                    simulation.resume()?;
                }
            }
            "sim:status" => {
                let simulation = self.simulation()?;
                let (running, nanos) = (simulation.is_running(), simulation.nanos());
                return Ok(json!({ "running": running, "nanos": nanos }));
            }
            "control:set" => self.part(params)?,
            "pin:read" => {
                // The simulator has no pins: all of them are low.
                self.part(params)?;
                return Ok(json!({
                    "pin": params["pin"],
                    "direction": "in",
                    "value": 0,
                    "voltage": 0,
                    "pullUp": false,
                    "pullDown": false,
                }));
            }
            _ => return Err(format!("Unknown command {command}").into()),
        }
        Ok(json!({}))
    }

    fn upload(&mut self, params: &Value) -> Result<(), Refusal> {
        let name = params["name"].as_str().ok_or("a file without name")?;
        let content = match (params["text"].as_str(), params["binary"].as_str()) {
            (Some(text), None) => text.as_bytes().to_vec(),
            (None, Some(_)) if name.ends_with(".json") => {
                return Err(format!("{name} must be uploaded as text").into());
            }
            (None, Some(binary)) => STANDARD.decode(binary).map_err(|error| error.to_string())?,
            _ => return Err(format!("{name} has neither text nor binary").into()),
        };
        self.files.insert(name.to_owned(), content);
        Ok(())
    }

    fn download(&self, params: &Value) -> Result<Value, Refusal> {
        let name = params["name"].as_str().ok_or("a file without name")?;
        let content = self.file(name)?;
        Ok(match std::str::from_utf8(content) {
            Ok(text) if name.ends_with(".json") => json!({ "name": name, "text": text }),
            _ => json!({ "name": name, "binary": STANDARD.encode(content) }),
        })
    }

    fn file(&self, name: &str) -> Result<&[u8], Refusal> {
        let content = self.files.get(name);
        content.map(Vec::as_slice).ok_or_else(|| format!("no file {name} was uploaded").into())
    }

    fn start(&mut self, params: &Value) -> Result<(), Refusal> {
        let diagram = String::from_utf8_lossy(self.file("diagram.json")?).into_owned();
        let board = Board::parse(&diagram).map_err(|error| format!("diagram.json: {error}"))?;
        if let Some(elf) = params["elf"].as_str() {
            self.file(elf)?;
        }
        let mut flash = vec![ERASED; flash_size(&params["flashSize"])?];
        let sections: Vec<(u64, &str)> = match &params["firmware"] {
            Value::String(file) => vec![(0, file)],
            Value::Array(sections) => {
                let section = |section: &'_ Value| section["offset"].as_u64();
                let offsets = sections.iter().map(section);
                let files = sections.iter().map(|section| section["file"].as_str());
                let both = offsets.zip(files).map(|(offset, file)| offset.zip(file));
                both.collect::<Option<_>>().ok_or("a section without offset or file")?
            }
            _ => return Err("no firmware".into()),
        };
        for (offset, file) in sections {
            let content = self.file(file)?;
            let at = usize::try_from(offset).map_err(|error| error.to_string())?;
            let place = at.checked_add(content.len()).and_then(|end| flash.get_mut(at..end));
            place.ok_or_else(|| format!("{file} does not fit"))?.copy_from_slice(content);
        }
        let mut simulation = Simulation::new(board, flash, self.conduct.faults.clone());
        if params["pause"] != true {
            simulation.resume()?;
        }
        self.simulation = Some(simulation);
        Ok(())
    }

    fn part(&mut self, params: &Value) -> Result<(), Refusal> {
        let part = params["part"].as_str().unwrap_or_default();
        match self.simulation()?.has_part(part) {
            true => Ok(()),
            false => Err(format!("Part {part} not found").into()),
        }
    }

    fn simulation(&mut self) -> Result<&mut Simulation, Refusal> {
        self.simulation.as_mut().ok_or_else(|| "the simulation has not begun".into())
    }

    /// What the unit printed, and the moments at which it pauses.
    fn pass_on(&mut self) -> Result<(), Error> {
        let Some(simulation) = &mut self.simulation else { return Ok(()) };
        let mut paused = None;
        if simulation.is_running() {
            paused = self.pause_points.reached_at(simulation.nanos());
        }
        if let Some(bytes) = simulation.printed() {
            let reached = bytes.iter().filter_map(|byte| self.pause_points.reached_by(*byte));
            paused = reached.last().or(paused);
            self.printed += bytes.len();
            if self.is_listened_to {
                self.event("serial-monitor:data", &json!({ "bytes": bytes }))?;
            }
        }
        if self.has_printed(self.conduct.freeze_after)
            && let Some(simulation) = &mut self.simulation
        {
            simulation.freeze();
        }
        if self.has_printed(self.conduct.lose_after) {
            let _lost = self.socket.get_ref().shutdown(std::net::Shutdown::Both);
            return Err(Error::ConnectionClosed);
        }
        if self.has_printed(self.conduct.pause_after) {
            self.printed = 0;
            paused = Some(String::new());
        }
        if let Some(id) = paused
            && let Some(simulation) = &mut self.simulation
        {
            simulation.pause();
            self.event("sim:pause", &json!({ "pausePoint": id, "pausePointInfo": {} }))?;
        }
        Ok(())
    }

    fn has_printed(&self, limit: Option<usize>) -> bool {
        limit.is_some_and(|limit| self.printed >= limit)
    }

    fn event(&mut self, event: &str, payload: &Value) -> Result<(), Error> {
        let simulation = self.simulation.as_ref();
        let nanos = simulation.map_or(0, Simulation::nanos);
        let paused = simulation.is_some_and(|simulation| !simulation.is_running());
        self.send(&json!({
            "type": "event",
            "event": event,
            "payload": payload,
            "nanos": nanos,
            "paused": paused,
        }))
    }

    fn send(&mut self, message: &Value) -> Result<(), Error> {
        self.socket.send(Message::text(message.to_string()))
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// `"4MB"` of one client, 4 of the other.
fn flash_size(given: &Value) -> Result<usize, Refusal> {
    let megabytes = match given {
        Value::Null => Some(4),
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.strip_suffix("MB").and_then(|number| number.parse().ok()),
        _ => None,
    };
    let known = megabytes.filter(|size| [2, 4, 8, 16].contains(size));
    let known = known.ok_or_else(|| format!("no flash of the size {given} here"))?;
    usize::try_from(known << 20).map_err(|error| error.to_string().into())
}
