//! The devices of an order: which units are named, that each is named once, and how each is opened.
//!
//! Opens nothing itself.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use goldline_simulator::{World, flash::FileError};

use super::{
    faults::Faults,
    nests::Placed,
    sought_ports::{self, Unfound},
};
use crate::{
    device::{
        ChoiceError, Chosen, ConfigurationError, DeviceName, DeviceUrl, DeviceUrlError,
        EmulatedUnit, Emulator, EspEmuOptions, EspEmuUnit, NoEmulator, NoWokwi, NotAPort, Plug,
        PortChoice, QemuOptions, Radio, SimulatedUnit, SimulatorOptions, SoughtPort, Uplink,
        WokwiUnit, open_esp_emu, open_qemu, open_remote, open_serial, open_simulator, open_sought,
        open_wokwi, refuse_what_is_no_port,
    },
    engine::OpenDevice,
    identity::Mac,
    image,
    profile::{AppSource, NvsKeyScheme, Profile},
    simulated::{NotSimulated, simulated},
};

/// The first simulated unit's address, one of Espressif's; the others count up from it.
const SIMULATED_MAC: [u8; 6] = [0x24, 0x0A, 0xC4, 0x00, 0x01, 0x10];

/// A device as it was named, and what its name means.
pub(super) type NamedDevice = (String, DeviceUrl);

/// The devices cannot be had.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum DevicesError {
    #[error(transparent)]
    Url(#[from] DeviceUrlError),
    #[error(transparent)]
    Esptool(#[from] ConfigurationError),
    #[error("the devices {one} and {other} are the same unit")]
    SameUnit { one: String, other: String },
    #[error(transparent)]
    FlashFile(#[from] FileError),
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    #[error(transparent)]
    NotAPort(#[from] NotAPort),
    #[error(transparent)]
    NoEmulator(#[from] NoEmulator),
    #[error(transparent)]
    NotSimulated(#[from] NotSimulated),
    #[error(transparent)]
    NoWokwi(#[from] NoWokwi),
}

impl DevicesError {
    /// What to do about it, where the message does not say so.
    pub fn action(&self) -> Option<String> {
        match self {
            Self::SameUnit { .. } => {
                Some("name each unit once; simulated ones differ by mac and flash-file".to_owned())
            }
            Self::Choice(error) => Some(error.action().to_owned()),
            Self::Esptool(error) => Some(error.action().to_owned()),
            Self::NotAPort(error) => Some(error.action().to_owned()),
            Self::NoEmulator(error) => Some(error.action().to_owned()),
            Self::NoWokwi(error) => Some(error.action().to_owned()),
            Self::Url(_) | Self::FlashFile(_) | Self::NotSimulated(_) => None,
        }
    }
}

/// The devices of an order, and what of their ports is not known yet.
#[derive(Default)]
pub(super) struct Parsed {
    pub(super) devices: Vec<NamedDevice>,
    /// Those whose units are to be asked, before any is touched.
    pub(super) unfound: Vec<Unfound>,
    /// Those that are there once their nest has power, in the order's places: until then the port has no path.
    pub(super) with_power: Vec<Option<SoughtPort>>,
}

/// Parses the devices, and finds the ports that can be found without asking units; without any, one simulated unit.
pub(super) fn parse(placed: &[Placed]) -> Result<Parsed, DevicesError> {
    if placed.is_empty() {
        let devices = vec![("simulator:".to_owned(), DeviceUrl::default())];
        return Ok(Parsed { devices, with_power: vec![None], ..Parsed::default() });
    }
    let mut devices: Vec<NamedDevice> = Vec::with_capacity(placed.len());
    let (mut unfound, mut with_power) = (Vec::new(), vec![None; placed.len()]);
    for (_, url, nest) in placed {
        let comes_with_power = |sought: &SoughtPort| {
            nest.as_ref().is_some_and(|nest| nest.power.is_some())
                && !matches!(sought.choice, PortChoice::Mac(_))
        };
        let device = match url.parse()? {
            DeviceName::Place(place) => (url.clone(), place),
            DeviceName::Port(sought) if comes_with_power(&sought) => {
                // What is there now goes with the supply, and may return under another number.
                let nowhere = sought.at(Path::new(&sought.choice.to_string()));
                with_power[devices.len()] = Some(sought);
                (url.clone(), nowhere)
            }
            DeviceName::Port(sought) => match sought_ports::without_asking(&sought)? {
                Chosen::Port(path) => found_at(url, sought.at(&path)),
                Chosen::OfUnit(mac) => {
                    // No port has this name; nothing opens it before the unit was asked for.
                    let nowhere = sought.at(Path::new(&sought.choice.to_string()));
                    unfound.push(Unfound { index: devices.len(), mac, sought });
                    (url.clone(), nowhere)
                }
            },
        };
        let (name, place) = device;
        devices.push((name, place.settled()?));
    }
    refuse_same_units(&devices)?;
    Ok(Parsed { devices, unfound, with_power })
}

/// Asks for the units whose ports nothing else tells: the first touch of any.
pub(super) fn find(unfound: &[Unfound], devices: &mut [NamedDevice]) -> Result<(), DevicesError> {
    for Unfound { index, mac, sought } in unfound {
        let found = sought_ports::by_asking(sought, *mac)?.settled()?;
        devices[*index] = found_at(&devices[*index].0, found);
    }
    refuse_same_units(devices)
}

/// What was named, and the port that it was found to be.
fn found_at(named: &str, url: DeviceUrl) -> NamedDevice {
    match &url {
        DeviceUrl::Serial { path, .. } => (format!("{named} ({})", path.display()), url),
        _ => (named.to_owned(), url),
    }
}

fn refuse_same_units(devices: &[NamedDevice]) -> Result<(), DevicesError> {
    for (index, (other, device)) in devices.iter().enumerate() {
        let mut before = devices[..index].iter().enumerate();
        if let Some((_, (one, _))) =
            before.find(|(at, (_, before))| is_same_unit((*at, before), (index, device)))
        {
            return Err(DevicesError::SameUnit { one: one.clone(), other: other.clone() });
        }
    }
    Ok(())
}

/// What a path leads to, so that a link and its target are one port.
fn node(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Whether two devices, each with its place in the order, are one unit.
fn is_same_unit(one: (usize, &DeviceUrl), other: (usize, &DeviceUrl)) -> bool {
    match (one, other) {
        ((_, DeviceUrl::Serial { path: one, .. }), (_, DeviceUrl::Serial { path: other, .. })) => {
            node(one) == node(other)
        }
        // A server has one client at a time, whatever it is talked to with.
        ((_, DeviceUrl::Remote(one)), (_, DeviceUrl::Remote(other))) => {
            one.address == other.address
        }
        ((index, DeviceUrl::Simulator(one)), (other_index, DeviceUrl::Simulator(other))) => {
            let mac =
                |index, options: &SimulatorOptions| options.mac.unwrap_or(simulated_mac(index));
            mac(index, one) == mac(other_index, other)
                || one.flash_file.is_some() && one.flash_file == other.flash_file
        }
        ((_, DeviceUrl::Qemu(one)), (_, DeviceUrl::Qemu(other))) => {
            // Without eFuses of its own each has the address that the emulator gives to all.
            one.efuse == other.efuse
                || one.flash_file.is_some() && one.flash_file == other.flash_file
        }
        // Each connection is a simulation of its own; what tells units apart is in the diagram.
        ((_, DeviceUrl::Wokwi(one)), (_, DeviceUrl::Wokwi(other))) => {
            one.mac == other.mac && one.diagram == other.diagram
        }
        _ => false,
    }
}

/// The address of the simulated unit in this place of the order.
fn simulated_mac(index: usize) -> Mac {
    let mut mac = SIMULATED_MAC;
    let low = u16::from_be_bytes([mac[4], mac[5]]).wrapping_add(u16::try_from(index).unwrap_or(0));
    mac[4..].copy_from_slice(&low.to_be_bytes());
    Mac(mac)
}

/// The address of an order's first unit, where it is known before the unit is asked.
pub(super) fn known_mac(url: &DeviceUrl) -> Option<Mac> {
    match url {
        DeviceUrl::Simulator(options) => Some(options.mac.unwrap_or_else(|| simulated_mac(0))),
        DeviceUrl::EspEmu(_)
        | DeviceUrl::Qemu(_)
        | DeviceUrl::Serial { .. }
        | DeviceUrl::Remote(_)
        | DeviceUrl::Wokwi(_) => None,
    }
}

/// What no unit can hang on is known before anything else is asked.
pub(super) fn refuse_no_ports(devices: &[NamedDevice]) -> Result<(), DevicesError> {
    for (_, url) in devices {
        if let DeviceUrl::Serial { path, .. } = url {
            refuse_what_is_no_port(path)?;
        }
    }
    Ok(())
}

/// A chip that the simulator lacks is known before any unit of the batch is touched.
pub(super) fn refuse_unsimulated_chips(
    devices: &[NamedDevice],
    profile: &Profile,
) -> Result<(), DevicesError> {
    for (_, url) in devices {
        if let DeviceUrl::Simulator(options) = url {
            simulated(options.chip.unwrap_or(profile.chip))?;
        }
    }
    Ok(())
}

/// A flash file that cannot be one is known before any unit of the batch is touched.
pub(super) fn refuse_unusable_flash_files(
    devices: &[NamedDevice],
    profile: &Profile,
    faults: &Faults,
) -> Result<(), DevicesError> {
    for (index, (_, url)) in devices.iter().enumerate() {
        if let DeviceUrl::Simulator(options) = url {
            let unit = simulated_unit(options.clone(), index, profile, faults);
            unit.refuse_unusable_flash_file()?;
        }
    }
    Ok(())
}

/// The emulators of those devices that need one, in the order's places. Asks the programs what they are.
pub(super) fn find_emulators(
    devices: &[NamedDevice],
    profile: &Profile,
) -> Result<Vec<Option<Emulator>>, DevicesError> {
    let emulator = |(_, url): &NamedDevice| match url {
        DeviceUrl::EspEmu(options) => {
            Ok(Some(esp_emu_unit(options.clone(), profile).find_emulator()?))
        }
        DeviceUrl::Qemu(options) => {
            Ok(Some(emulated_unit(options.clone(), profile).find_emulator()?))
        }
        DeviceUrl::Simulator(_)
        | DeviceUrl::Serial { .. }
        | DeviceUrl::Remote(_)
        | DeviceUrl::Wokwi(_) => Ok(None),
    };
    devices.iter().map(emulator).collect()
}

/// The units that a service simulates, in the order's places. Reads their diagrams and connects to nothing.
pub(super) fn units_elsewhere(
    devices: &[NamedDevice],
    profile: &Profile,
) -> Result<Vec<Option<WokwiUnit>>, DevicesError> {
    let unit = |(_, url): &NamedDevice| match url {
        DeviceUrl::Wokwi(options) => {
            let unit = WokwiUnit::new(profile.chip, profile.flash.size(), options);
            Ok(Some(unit?))
        }
        _ => Ok(None),
    };
    devices.iter().map(unit).collect()
}

/// What surrounds the unit in its place on the bench.
pub(super) struct Surroundings {
    /// A simulated unit's world.
    pub(super) world: Arc<dyn World>,
    /// The link of a unit in QEMU to its network.
    pub(super) plug: Option<Plug>,
    /// The network of a unit in esp-emu.
    pub(super) uplink: Option<Uplink>,
    /// What a service simulates.
    pub(super) elsewhere: Option<WokwiUnit>,
    /// What its port is found by, once its nest has power.
    pub(super) with_power: Option<SoughtPort>,
}

/// What opens the device in this place of the order.
pub(super) fn opener(
    (url, emulator): (&DeviceUrl, Option<&Emulator>),
    index: usize,
    profile: &Profile,
    faults: &Faults,
    Surroundings { world, plug, uplink, elsewhere, with_power }: Surroundings,
) -> OpenDevice {
    if let Some(sought) = with_power {
        return Box::new(move |given_up| open_sought(&sought, given_up));
    }
    match url.clone() {
        DeviceUrl::EspEmu(options) => {
            let unit = esp_emu_unit(options, profile);
            let emulator = emulator.expect("it was found when the order was taken").clone();
            let uplink = uplink.expect("an emulated unit has one");
            Box::new(move |_| open_esp_emu(&unit, emulator, uplink))
        }
        DeviceUrl::Qemu(options) => {
            let unit = emulated_unit(options, profile);
            let emulator = emulator.expect("it was found when the order was taken").clone();
            Box::new(move |_| open_qemu(&unit, emulator, plug))
        }
        DeviceUrl::Serial { path, baud, reset } => {
            Box::new(move |_| open_serial(&path, baud, reset))
        }
        DeviceUrl::Remote(port) => Box::new(move |given_up| open_remote(port, given_up)),
        DeviceUrl::Wokwi(_) => {
            let unit = elsewhere.expect("it was made ready when the order was taken");
            Box::new(move |_| open_wokwi(unit))
        }
        DeviceUrl::Simulator(options) => {
            let unit = simulated_unit(options, index, profile, faults);
            Box::new(move |_| open_simulator(unit, world))
        }
    }
}

fn esp_emu_unit(options: EspEmuOptions, profile: &Profile) -> EspEmuUnit {
    EspEmuUnit { chip: profile.chip, flash_size: profile.flash.size(), options }
}

/// An application that cannot be read is refused where images are made.
fn knows_the_radio_only(profile: &Profile) -> bool {
    let AppSource::File(file) = &profile.images.app else { return false };
    file.read().is_ok_and(|app| image::knows_the_radio_only(&app))
}

fn emulated_unit(options: QemuOptions, profile: &Profile) -> EmulatedUnit {
    let radio = match (knows_the_radio_only(profile), &profile.wifi) {
        (false, _) => Radio::Unneeded,
        (true, None) => Radio::Wanted,
        (true, Some(_)) => Radio::Needed,
    };
    EmulatedUnit { chip: profile.chip, flash_size: profile.flash.size(), options, radio }
}

/// The unit of an order for one that is simulated.
pub(super) fn specimen_unit(
    url: &DeviceUrl,
    profile: &Profile,
    faults: &Faults,
) -> Option<SimulatedUnit> {
    match url {
        DeviceUrl::Simulator(options) => Some(simulated_unit(options.clone(), 0, profile, faults)),
        _ => None,
    }
}

/// The simulated unit in this place of the order.
fn simulated_unit(
    options: SimulatorOptions,
    index: usize,
    profile: &Profile,
    faults: &Faults,
) -> SimulatedUnit {
    SimulatedUnit {
        chip: profile.chip,
        flash_size: profile.flash.size(),
        options: SimulatorOptions {
            mac: options.mac.or_else(|| Some(simulated_mac(index))),
            ..options
        },
        hmac_key: declared_hmac_key(profile),
        faults: faults.unit.clone(),
        tampering: None,
        seed: faults.seed_of(index),
    }
}

/// A simulated unit comes with the declared key in its eFuses, as a real one comes with its own.
pub fn declared_hmac_key(profile: &Profile) -> Option<[u8; 32]> {
    let encryption = profile.nvs.encryption.as_ref()?;
    if encryption.scheme != NvsKeyScheme::Hmac {
        return None;
    }
    let name = encryption.key.lone_symbol()?;
    let sample = profile.values.iter().find(|spec| spec.name == name)?.sample.as_ref()?;
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = sample.as_bytes().chunks(2).map(byte).collect();
    bytes?.try_into().ok()
}
