//! A firmware from its first line to the reset that ends it.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::console::Console;
use super::description::{Description, Factory};
use super::device_id;
use super::factory;
use super::keyboard::Keyboard;
use super::nvs_error::NvsError;
use super::nvs_keys::NvsKeys;
use super::operation::Operation;
use super::package::Program;
use super::portal::Service;
use super::say::say;
use super::settings::Settings;
use super::shell::Shell;
use super::storage::Storage;
use crate::boot::{ResetReason, confirm_ota_slot};
use crate::chip::Chip;
use crate::fault::{Fault, Faults};
use crate::world::World;

/// ESP-IDF's own NVS partition.
const SYSTEM_NVS: &str = "nvs";
const CALIBRATION_BYTES: usize = 1904;
/// How long a firmware that panics lives at least; a real one lives longer, but nobody waits for that.
const LIFE_BEFORE_PANIC: Duration = Duration::from_millis(40);
/// And at most, by the seed: the panic comes in the middle of whatever is asked of the unit.
const LONGEST_LIFE: Duration = Duration::from_secs(3);

/// How long a slow firmware does nothing.
const SLOW_BOOT: Duration = Duration::from_secs(3);

/// Runs until the firmware resets the chip.
pub(crate) async fn run(
    program: Program,
    chip: &mut Chip,
    console: Console,
    mut keyboard: Keyboard,
    faults: &Faults,
    world: Arc<dyn World>,
) -> ResetReason {
    let mut console = console.with_log(program.description.log);
    greet(&program, chip, &mut console);
    if faults.has(Fault::FirmwareBootLoop) {
        sleep(life(faults, Fault::FirmwareBootLoop)).await;
        return panic(&console);
    }
    if faults.has(Fault::ChipWatchdog) {
        sleep(life(faults, Fault::ChipWatchdog)).await;
        return hang(&console);
    }
    if faults.has(Fault::FirmwareSlowBoot) {
        sleep(SLOW_BOOT).await;
    }
    let description = &program.description;
    let tag = description.app.tag.as_str();
    first_boot(&program, chip, &mut console);
    let id = device_id(&program, chip, faults, &console);
    if let Some(factory) = &description.factory {
        store_constants(factory, &program, chip, &console);
        return pending().await;
    }
    let (settings, keys) = match load(&program, chip, faults, id) {
        Ok(loaded) => loaded,
        Err(error) => {
            console.error(tag, &error);
            console.error(tag, "Device not provisioned!");
            return pending().await;
        }
    };
    say(&description.says.started, &settings, &console);
    let provisioned = is_provisioned(description, &settings);
    if provisioned {
        console.info(tag, "Configuration loaded from NVS");
    } else {
        say(&description.says.not_provisioned, &settings, &console);
        settings
            .missing(description)
            .iter()
            .for_each(|error| console.warn(tag, &error.to_string()));
    }
    if faults.has(Fault::ChipBrownOut) {
        sleep(life(faults, Fault::ChipBrownOut)).await;
        return brown_out(&console);
    }
    if description.app.fails_to_start {
        sleep(LIFE_BEFORE_PANIC).await;
        return panic(&console);
    }
    let chip = RefCell::new(chip);
    let table = &program.table;
    if let Some(portal) = description.portal.as_ref().filter(|_| !provisioned) {
        let keys = keys.as_ref();
        let settings = &settings;
        let service =
            Service { description, portal, table, chip: &chip, keys, faults, world, settings };
        return service.run(&console).await;
    }
    let careless = faults.has(Fault::FirmwarePortalStaysOpen);
    let (own, own_keys) = (settings.clone(), keys.clone());
    let still_open = description.portal.as_ref().filter(|_| careless).map(|portal| Service {
        description,
        portal,
        table,
        chip: &chip,
        keys: own_keys.as_ref(),
        faults,
        world: world.clone(),
        settings: &own,
    });
    let (orders, inbox) = mpsc::unbounded_channel();
    let typed_console = console.clone();
    let joined = Cell::new(false);
    let operation = Operation { program: &program, chip: &chip, faults, world, joined: &joined };
    let operate = operation.run(provisioned.then(|| settings.clone()), inbox, &mut console);
    let serve = async {
        match &still_open {
            Some(service) => service.run(&typed_console).await,
            None => pending().await,
        }
    };
    let Some(section) = &description.console else {
        // The orders' sender lives as long as the firmware: it only never sends one.
        let _silent = orders;
        return tokio::select! {
            reason = serve => reason,
            reason = operate => reason,
        };
    };
    let shell = Shell {
        description,
        section,
        table,
        chip: &chip,
        keys,
        faults,
        orders,
        settings,
        joined: &joined,
    };
    tokio::select! {
        reason = shell.run(&mut keyboard, &typed_console) => reason,
        reason = operate => reason,
    }
}

/// The settings of this start, and the keys that they are read with.
fn load(
    program: &Program,
    chip: &mut Chip,
    faults: &Faults,
    id: Option<String>,
) -> Result<(Settings, Option<NvsKeys>), String> {
    let description = &program.description;
    let renamed =
        faults.has(Fault::FirmwareKeyIgnored).then(|| description.settings.with_a_key_renamed());
    let wanted = renamed.as_ref().unwrap_or(&description.settings);
    let partition = &wanted.partition;
    let keys = match &wanted.encryption {
        Some(encryption) => {
            let keys = NvsKeys::find(encryption, &program.table, chip);
            let refuse = |error| format!("Failed to init NVS partition '{partition}': {error}");
            Some(keys.map_err(refuse)?)
        }
        None => None,
    };
    let settings = Settings::load(wanted, &program.table, &mut chip.flash, keys.as_ref())
        .map_err(|error| error.to_string())?;
    Ok((settings.with_constants(&description.constants).with_device_id(id), keys))
}

fn is_provisioned(description: &Description, settings: &Settings) -> bool {
    let Some(provisioning) = &description.provisioning else { return true };
    let there = |name: &String| !settings.value(name).is_empty();
    let flagged = provisioning.flag.as_ref().is_none_or(|flag| settings.value(flag) == "1");
    provisioning.required.iter().all(there) && flagged
}

fn greet(program: &Program, chip: &Chip, console: &mut Console) {
    let app = &program.description.app;
    console.start("cpu_start", "Pro cpu start user code");
    console.start("cpu_start", "cpu freq: 160000000 Hz");
    console.start("app_init", "Application information:");
    console.start("app_init", &format!("Project name:     {}", app.name));
    console.start("app_init", &format!("App version:      {}", app.version));
    console.start("app_init", &format!("ELF file SHA256:  {}...", program.elf_digest));
    console.start("app_init", &format!("ESP-IDF:          {}", app.idf_version));
    console.pass(60);
    let revision = chip.model.revision;
    let text = format!("Chip rev:         v{}.{}", revision / 100, revision % 100);
    console.start("efuse_init", &text);
    console.pass(80);
    console.start("main_task", "Started on CPU0");
    console.pass(10);
    console.start("main_task", "Calling app_main()");
}

/// The whole work of a firmware that only provisions.
fn store_constants(wanted: &Factory, program: &Program, chip: &mut Chip, console: &Console) {
    let print =
        |lines: &[String]| lines.iter().for_each(|line| console.raw(&format!("{line}\r\n")));
    let description = &program.description;
    print(&wanted.before);
    match factory::provision(wanted, description, &program.table, &mut chip.flash) {
        Ok(()) => print(&wanted.after),
        Err(error) => console.error(&description.app.tag, &format!("Provisioning failed: {error}")),
    }
}

/// The id that the firmware makes of its address and tells the one who watches.
fn device_id(program: &Program, chip: &Chip, faults: &Faults, console: &Console) -> Option<String> {
    let app = &program.description;
    let wanted = app.device_id.as_ref()?;
    let drops_zeros = wanted.drops_zeros || faults.has(Fault::FirmwareIdDropsZeros);
    let id = device_id::derive(chip.mac, drops_zeros);
    wanted.print(&id, &app.app.version, console);
    Some(id)
}

/// What every ESP-IDF application with WiFi leaves in flash when it first runs.
fn first_boot(program: &Program, chip: &mut Chip, console: &mut Console) {
    let tag = "system_api";
    match system_nvs(program, chip) {
        Ok(true) => {
            console.start("phy_init", "saving new calibration data because of checksum failure")
        }
        Ok(false) | Err(NvsError::PartitionNotFound) => {}
        Err(error) => console.error(tag, &format!("NVS of the system: {error}")),
    }
    // A firmware that takes updates confirms itself later, when it is sure.
    if let Some(slot) = program.partition.ota_slot()
        && let Err(error) = confirm_ota_slot(&program.table, chip, slot)
    {
        console.error("esp_ota_ops", &error.to_string());
    }
    console.pass(120);
}

/// Fills the system's namespaces; true when they were not there. Where the product's own settings lie in that
/// partition, it is encrypted as they are: `nvs_flash_init` knows one way only.
fn system_nvs(program: &Program, chip: &mut Chip) -> Result<bool, NvsError> {
    let (table, settings) = (&program.table, &program.description.settings);
    let partition = table
        .labelled(SYSTEM_NVS)
        .filter(|partition| partition.is_nvs())
        .ok_or(NvsError::PartitionNotFound)?;
    let encryption = settings.encryption.as_ref().filter(|_| settings.partition == SYSTEM_NVS);
    let keys = encryption.map(|encryption| NvsKeys::find(encryption, table, chip)).transpose()?;
    let (mac, flash) = (chip.mac, &mut chip.flash);
    let mut storage = Storage::open(partition, flash, keys.as_ref())?;
    if storage.has_namespace("phy") {
        return Ok(false);
    }
    storage.set_word("phy", "cal_version", 4670)?;
    storage.set_blob("phy", "cal_mac", &mac)?;
    storage.set_blob("phy", "cal_data", &calibration(mac))?;
    storage.set_byte("nvs.net80211", "opmode", 1)?;
    storage.set_byte("nvs.net80211", "sta.authmode", 3)?;
    storage.set_byte("nvs.net80211", "sta.chan", 0)?;
    storage.close(flash);
    Ok(true)
}

/// Bytes that differ from unit to unit and stay the same on each.
fn calibration(mac: [u8; 6]) -> Vec<u8> {
    let mut state = u32::from_le_bytes([mac[2], mac[3], mac[4], mac[5]]) | 1;
    (0..CALIBRATION_BYTES)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        })
        .collect()
}

fn life(faults: &Faults, fault: Fault) -> Duration {
    let longer = (LONGEST_LIFE - LIFE_BEFORE_PANIC).as_millis() as u64;
    LIFE_BEFORE_PANIC + Duration::from_millis(faults.pick(fault, longer))
}

fn hang(console: &Console) -> ResetReason {
    console.error("task_wdt", "Task watchdog got triggered. The following tasks/users did not reset the watchdog in time:");
    console.error("task_wdt", " - IDLE0 (CPU 0)");
    ResetReason::TaskWatchdog
}

fn brown_out(console: &Console) -> ResetReason {
    console.raw("\r\nBrownout detector was triggered\r\n\r\n");
    ResetReason::BrownOut
}

fn panic(console: &Console) -> ResetReason {
    console.raw(
        "Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.\r\n\r\n\
         Core  0 register dump:\r\n\
         PC      : 0x400d5e2b  PS      : 0x00060d30  A0      : 0x800d5f07  A1      : 0x3ffb4f40\r\n\
         EXCVADDR: 0x00000000  LBEG    : 0x4000c46c  LEND    : 0x4000c477  LCOUNT  : 0x00000000\r\n\r\n\
         Backtrace: 0x400d5e28:0x3ffb4f40 0x400d5f04:0x3ffb4f60 0x400e1a3c:0x3ffb4f90\r\n\r\n\
         ELF file SHA256: 0000000000000000\r\n\r\n\
         Rebooting...\r\n",
    );
    ResetReason::Software
}
