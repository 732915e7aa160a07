//! `rfc2217://HOST:PORT`, `socket://HOST:PORT` and `unix:PATH`: serial ports that a server offers.
//!
//! Must not open anything.

use super::{
    ResetMethod,
    error::{DeviceUrlError, number, switch, unknown, wrong},
};

/// A serial port that a server offers on the network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemotePort {
    /// How it is talked to.
    pub protocol: RemoteProtocol,
    /// Host and port, such as `jig.example.test:4000`, or a path.
    pub address: String,
    /// Rate of transfers; a raw port has one of its own.
    pub baud: Option<u32>,
    /// What resets the unit.
    pub reset: ResetMethod,
    /// Whether a simulated unit is there.
    pub simulated: bool,
}

/// How a port on the network is talked to; the names are pyserial's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RemoteProtocol {
    /// Bytes and nothing else: `socket://`.
    Raw,
    /// The same at a socket of this machine's: `unix:`.
    Unix,
    /// With rate and modem lines: `rfc2217://`.
    Rfc2217,
}

impl RemotePort {
    /// Of an address and the options of a device URL.
    ///
    /// # Errors
    /// [`DeviceUrlError`] names what is wrong.
    pub(super) fn parse(
        url: &str,
        protocol: RemoteProtocol,
        address: &str,
        options: &[(&str, &str)],
    ) -> Result<Self, DeviceUrlError> {
        let is_raw = protocol != RemoteProtocol::Rfc2217;
        let address = match protocol {
            RemoteProtocol::Unix => path(url, address)?,
            RemoteProtocol::Raw | RemoteProtocol::Rfc2217 => host_and_port(url, protocol, address)?,
        };
        let mut parsed = Self {
            protocol,
            address,
            baud: None,
            reset: if is_raw { ResetMethod::by_hand() } else { ResetMethod::default() },
            simulated: false,
        };
        for &(option, value) in options {
            match option {
                "baud" if !is_raw => parsed.baud = Some(number(url, option, value)?),
                "reset" => {
                    parsed.reset = ResetMethod::parse(url, option, value)?;
                    if is_raw && parsed.reset.needs_lines() {
                        let expected = "none or command:PROGRAM: a raw socket has no modem lines";
                        return Err(wrong(url, option, value, expected));
                    }
                }
                "simulated" => parsed.simulated = switch(url, option, value)?,
                _ if is_raw => return Err(unknown(url, option, "reset, simulated")),
                _ => return Err(unknown(url, option, "baud, reset, simulated")),
            }
        }
        Ok(parsed)
    }

    /// What people call it: its URL without the options.
    pub fn name(&self) -> String {
        format!("{}{}", self.protocol.scheme(), self.address)
    }
}

impl RemoteProtocol {
    /// How such a URL begins.
    pub(super) fn scheme(self) -> &'static str {
        match self {
            Self::Raw => "socket://",
            Self::Unix => "unix:",
            Self::Rfc2217 => "rfc2217://",
        }
    }
}

fn host_and_port(
    url: &str,
    protocol: RemoteProtocol,
    address: &str,
) -> Result<String, DeviceUrlError> {
    let (host, port) = address.rsplit_once(':').unwrap_or_default();
    // pyserial's examples end in a slash at times.
    let port = port.strip_suffix('/').unwrap_or(port);
    if host.is_empty() || !port.parse::<u16>().is_ok_and(|port| port != 0) {
        let url = url.to_owned();
        return Err(DeviceUrlError::Address { url, scheme: protocol.scheme() });
    }
    Ok(format!("{host}:{port}"))
}

fn path(url: &str, path: &str) -> Result<String, DeviceUrlError> {
    match path.is_empty() {
        true => Err(DeviceUrlError::Scheme { url: url.to_owned() }),
        false => Ok(path.to_owned()),
    }
}
