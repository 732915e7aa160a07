//! esp-emu's command line, as far as a harness uses it.

use std::{net::Ipv4Addr, path::PathBuf, time::Duration};

use clap::Parser;
use goldline_simulator::Mode;

/// The chips that the real one has.
pub const CHIPS: [&str; 7] =
    ["esp32c3", "esp32c5", "esp32c6", "esp32h2", "esp32p4", "esp32s3", "esp32s31"];

/// A stand-in for Espressif's emulator of ESP32 series SoCs
#[derive(Parser)]
#[command(name = "esp-emu", version = "0.49.0 (a stand-in of Goldline's)")]
pub struct Arguments {
    /// Target chip: esp32c3, esp32c5, esp32c6, esp32h2, esp32p4, esp32s3, or esp32s31
    #[arg(long)]
    pub chip: String,
    /// Path to merged flash binary
    #[arg(long)]
    pub firmware: PathBuf,
    /// Path to eFuse binary (336 bytes)
    #[arg(long)]
    pub efuse: Option<PathBuf>,
    /// Exit after duration, such as 5s or 500ms
    #[arg(long, value_parser = duration)]
    pub timeout: Option<Duration>,
    /// Exit with code 0 when UART output contains this string
    #[arg(long)]
    pub exit_on: Option<String>,
    /// Save flash state to disk on exit (overwrites firmware file)
    #[arg(long)]
    pub save_state: bool,
    /// Network backend: user, user,restrict=yes, user,dns=ADDR
    #[arg(long, default_value = "user", value_parser = backend)]
    pub net: Backend,
    /// WiFi soft AP SSID broadcast to firmware
    #[arg(long, default_value = "myssid")]
    pub wifi_ssid: String,
    /// Passphrase (8-63 chars). Empty string for open mode
    #[arg(long, default_value = "mypassword")]
    pub wifi_password: String,
    /// Bridge UART0 to a TCP server; stdin/stdout disconnected
    #[arg(long)]
    pub uart_tcp: Option<String>,
    /// GPIO_STRAP value at reset: 0x02 UART download, 0x08 SPI flash boot
    #[arg(long, default_value = "0x08")]
    strap_mode: String,
    /// Host control channel: newline-delimited reset, reset --soft, ping
    #[arg(long)]
    pub control_tcp: Option<String>,
}

/// What the guest's connections come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Backend {
    /// Where names are asked for. The machine's own resolver is none of a stand-in's affair.
    pub dns: Option<Ipv4Addr>,
    /// Whether only names are answered.
    pub restrict: bool,
}

impl Arguments {
    /// Where a reset leads.
    pub fn mode(&self) -> Result<Mode, String> {
        match self.strap_mode.as_str() {
            "0x02" => Ok(Mode::Download),
            "0x08" => Ok(Mode::Boot),
            other => Err(format!("--strap-mode {other}: the stand-in has 0x02 and 0x08")),
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let number = |digits: &str| digits.parse().map_err(|_| format!("{text} is no duration"));
    match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(digits), _) => number(digits).map(Duration::from_millis),
        (None, Some(digits)) => number(digits).map(Duration::from_secs),
        (None, None) => Err(format!("{text} has no unit: expected 5s or 500ms")),
    }
}

fn backend(text: &str) -> Result<Backend, String> {
    let mut fields = text.split(',');
    if fields.next() != Some("user") {
        return Err(format!("{text}: the stand-in has user only"));
    }
    let mut backend = Backend::default();
    for field in fields {
        match field.split_once('=') {
            Some(("dns", address)) => {
                backend.dns =
                    Some(address.parse().map_err(|_| format!("{address} is no address"))?);
            }
            Some(("restrict", "yes")) => backend.restrict = true,
            _ => return Err(format!("{field}: the stand-in has dns= and restrict=yes")),
        }
    }
    Ok(backend)
}
