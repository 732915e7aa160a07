//! What a `diagram.json` says of the unit: chip, MAC, and whether its console is connected.

use goldline_simulator::chip::Model;
use serde_json::Value;

/// The board of a diagram.
pub struct Board {
    pub model: &'static Model,
    pub mac: [u8; 6],
    /// Whether its console leads to the serial monitor.
    pub is_heard: bool,
    /// The names of all parts.
    pub parts: Vec<String>,
}

impl Board {
    /// Of the text of a diagram.
    pub fn parse(diagram: &str) -> Result<Self, String> {
        let diagram: Value = serde_json::from_str(diagram).map_err(|error| error.to_string())?;
        let parts = diagram["parts"].as_array().ok_or("no parts")?;
        let (board, model) = parts
            .iter()
            .find_map(|part| Some((part, model_on(part["type"].as_str()?)?)))
            .ok_or("no microcontroller that is simulated here")?;
        let id = board["id"].as_str().ok_or("a part without id")?;
        let mac = match board["attrs"]["macAddress"].as_str() {
            Some(mac) => parse_mac(mac).ok_or_else(|| format!("macAddress {mac}"))?,
            None => [0x24, 0x0A, 0xC4, 0x00, 0x01, 0x10],
        };
        let wires = diagram["connections"].as_array().ok_or("no connections")?;
        let joins = |wire: &Value, one: &str, other: &str| {
            let ends = [wire[0].as_str(), wire[1].as_str()];
            ends == [Some(one), Some(other)] || ends == [Some(other), Some(one)]
        };
        let is_wired = |pin: &str, of_monitor: &str| {
            let (pin, of_monitor) = (format!("{id}:{pin}"), format!("$serialMonitor:{of_monitor}"));
            wires.iter().any(|wire| joins(wire, &pin, &of_monitor))
        };
        let is_heard = is_wired("TX", "RX") && is_wired("RX", "TX");
        let names = parts.iter().filter_map(|part| part["id"].as_str().map(str::to_owned));
        Ok(Self { model, mac, is_heard, parts: names.collect() })
    }
}

/// `board-esp32-c3-devkitm-1` has an ESP32-C3, `board-esp32-devkit-c-v4` an ESP32.
fn model_on(board: &str) -> Option<&'static Model> {
    let rest = board.strip_prefix("board-esp32-")?;
    let family = rest.split('-').next()?;
    Model::named(&format!("esp32{family}")).or_else(|| Model::named("esp32"))
}

fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let bytes: Vec<u8> =
        text.split(':').map(|pair| u8::from_str_radix(pair, 16).ok()).collect::<Option<_>>()?;
    bytes.try_into().ok()
}
