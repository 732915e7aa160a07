//! `goldline profile`: what profiles there are, whether one is valid, and what one means.
//!
//! Returns text; whoever calls prints it. Of a secret it shows the length only.

mod checklist;
mod coverage;
mod trust;

use std::{
    fmt::{self, Write as _},
    path::Path,
    sync::Arc,
};

use crate::{
    build::{LeftOut, LeftOutPlace},
    image::{ImageError, inspect},
    plan::{Plan, Scope},
    process::Unusable,
    profile::{
        Accepted, AppSource, BootloaderSource, Caller, CatalogError, CheckId, Deadlines,
        DialogueName, EndpointPolicy, Exchange, Method, Mqtt, Partition, Profile, ValueSource,
        ValueSpec, find, list as list_profiles,
    },
    record::Limits,
};

pub use checklist::checklist;

/// `profile list`: one line a profile.
///
/// # Errors
/// When the folder cannot be read. A profile in it that is not valid is listed as such.
pub fn list(dir: Option<&Path>) -> Result<String, CatalogError> {
    let mut text = String::new();
    for listed in list_profiles(dir)? {
        let place =
            listed.path.as_ref().map_or("built in".to_owned(), |path| path.display().to_string());
        let what = match listed.load() {
            Ok(profile) => format!("{} on {}", profile.title, profile.chip),
            Err(_) => format!("not valid: see goldline profile check {place}"),
        };
        line(&mut text, format_args!("{:21} {what} ({place})", listed.name));
    }
    Ok(text)
}

/// A profile, or a file that it names, is not right.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The profile itself.
    #[error(transparent)]
    Profile(#[from] CatalogError),
    /// The programs of its own tests.
    #[error("the test {test} has no program: {error}")]
    Program {
        /// The test's name.
        test: String,
        /// What is wrong with the program.
        error: Unusable,
    },
    /// What it names as images.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Images(Vec<ImageError>),
}

/// `profile check FILE`: one line on a valid profile whose files are what its chip can run; then the
/// certificates in them, and whether they can trust the bench.
///
/// # Errors
/// Whatever is wrong with it, with file, line and column; then whatever is wrong with its files.
pub fn check(file: &str, dir: Option<&Path>) -> Result<String, CheckError> {
    let profile = find(file, dir)?;
    let faults = inspect(&profile);
    if !faults.is_empty() {
        return Err(CheckError::Images(faults));
    }
    for own in profile.own_tests() {
        own.refuse_unusable()
            .map_err(|error| CheckError::Program { test: own.name.clone(), error })?;
    }
    let mut text = format!(
        "{file}: valid: {} on {}, {} partitions, {} values, {} NVS keys, {} checks\n",
        profile.name,
        profile.chip,
        profile.flash.partitions().len(),
        profile.values.len(),
        profile.nvs.entries.len(),
        profile.checks.len(),
    );
    tell_left_out(&mut text, &profile);
    trust::tell(&mut text, &profile).map_err(|error| CheckError::Images(vec![error]))?;
    Ok(text)
}

fn tell_left_out(text: &mut String, profile: &Profile) {
    if profile.images.left_out.is_empty() {
        return;
    }
    heading(text, "In the merged binary, and not flashed");
    for LeftOut { offset, bytes, place } in &profile.images.left_out {
        let place = match place {
            LeftOutPlace::BehindImage => "behind the image there, as an earlier one leaves it",
            LeftOutPlace::Unpartitioned => "in no partition",
        };
        line(text, format_args!("  {bytes} bytes at {offset:#x}, {place}"));
    }
}

/// `profile explain NAME`: what is written where, with which values, and what is checked.
///
/// # Errors
/// As [`find`].
pub fn explain(name: &str, dir: Option<&Path>) -> Result<String, CatalogError> {
    let profile = find(name, dir)?;
    let mut text = String::new();
    explain_product(&mut text, &profile);
    explain_flash(&mut text, &profile);
    coverage::explain(&mut text, &profile);
    explain_nvs(&mut text, &profile);
    explain_values(&mut text, &profile);
    explain_services(&mut text, &profile);
    explain_other_services(&mut text, &profile);
    explain_checks(&mut text, &profile);
    explain_steps(&mut text, profile);
    Ok(text)
}

fn explain_product(text: &mut String, profile: &Profile) {
    let method = match profile.method {
        Method::FactoryImage => "an NVS image is made for each unit and flashed with the rest",
        Method::CaRegistration => {
            "the CA registers it, an NVS image with its certificate is flashed, and its console joins it to the network"
        }
        Method::Console => {
            "it is flashed without values, and they are typed into its serial console"
        }
        Method::Portal => {
            "it is flashed without values; a server gives credentials, and its web portal takes them"
        }
        Method::FactoryFirmware => {
            "a provisioning firmware writes them and is then replaced by the final one"
        }
    };
    line(text, format_args!("{} (profile {})", profile.title, profile.name));
    line(text, format_args!("{} with {} of flash", profile.chip, size(profile.flash.size())));
    line(text, format_args!("How a unit gets its values: {method}."));
}

fn explain_flash(text: &mut String, profile: &Profile) {
    let flash = &profile.flash;
    let bootloader = match &profile.images.bootloader {
        BootloaderSource::EspIdf => format!("ESP-IDF's own for {}", profile.chip),
        BootloaderSource::File(file) => file.to_string(),
    };
    heading(text, "What is written where");
    region(text, profile.chip.bootloader_offset(), "bootloader", &bootloader);
    let partitions = flash.partitions();
    let table = format!("{} partitions", partitions.len());
    region(text, flash.table_offset(), "partition table", &table);
    let (written, left): (Vec<_>, Vec<_>) =
        partitions.iter().partition(|partition| content(profile, partition).is_some());
    for partition in written {
        let content = content(profile, partition).unwrap_or_default();
        region(text, partition.offset, &partition.name, &content);
    }
    if !left.is_empty() {
        let names: Vec<_> = left.iter().map(|partition| partition.name.as_str()).collect();
        line(text, format_args!("  left to the firmware: {}", names.join(", ")));
    }
}

/// What the run writes into a partition.
fn content(profile: &Profile, partition: &Partition) -> Option<String> {
    let place =
        format!("{}/{}, {}", partition.kind.kind, partition.kind.subtype, size(partition.size));
    if partition.name == profile.nvs.partition {
        let namespace = &profile.nvs.namespace;
        return Some(format!("{place}: the unit's values, in namespace \"{namespace}\""));
    }
    let app = match &profile.images.app {
        AppSource::Model { name } => format!("the firmware model {name}, for simulated units"),
        AppSource::File(file) => file.to_string(),
    };
    let others = &profile.images.others;
    if let Some(other) = others.iter().find(|other| other.partition == partition.name) {
        return Some(format!("{place}: {}", other.file));
    }
    (partition.name == profile.images.app_partition).then(|| format!("{place}: {app}"))
}

fn explain_nvs(text: &mut String, profile: &Profile) {
    heading(text, &format!("Keys in namespace \"{}\"", profile.nvs.namespace));
    for entry in &profile.nvs.entries {
        let encoding = entry.encoding.name();
        let key = match entry.namespace == profile.nvs.namespace {
            true => entry.key.clone(),
            false => format!("{}/{}", entry.namespace, entry.key),
        };
        line(text, format_args!("  {key:15} {encoding:8} {}", entry.value));
    }
    if !profile.nvs.foreign_namespaces.is_empty() {
        let names = profile.nvs.foreign_namespaces.join(", ");
        line(text, format_args!("  after a boot, these namespaces may appear too: {names}"));
    }
}

fn explain_values(text: &mut String, profile: &Profile) {
    heading(text, "Where a unit's values come from");
    for spec in &profile.values {
        line(text, format_args!("  {:15} {}", spec.name, origin(spec)));
        line(text, format_args!("  {:15} {}", "", nature(spec)));
    }
    line(
        text,
        format_args!("  Each can be given with --set NAME=VALUE or as a column of --units."),
    );
    line(text, format_args!("  Samples serve simulated units; a real port refuses them."));
}

fn origin(spec: &ValueSpec) -> String {
    match &spec.source {
        ValueSource::Site => "given: --set, --units or the station file".to_owned(),
        ValueSource::Lease => "a number that is leased and never given twice".to_owned(),
        ValueSource::Random { bytes } => {
            format!("{bytes} bytes of the operating system's generator, as lowercase hex")
        }
        ValueSource::Template(template) => format!("built as {template}"),
        ValueSource::MacScheme(scheme) => format!("made of the unit's MAC: {}", scheme.name()),
        ValueSource::Salted { scheme, of, salt } => {
            format!("made of {of} and the salt {salt}: {}", scheme.name())
        }
    }
}

fn nature(spec: &ValueSpec) -> String {
    let kind = match (spec.secret, spec.id) {
        (true, _) => "secret, ",
        (false, true) => "public id, ",
        (false, false) => "",
    };
    let (min, max) = (spec.min_bytes, spec.max_bytes);
    let sample = match &spec.sample {
        Some(sample) if spec.secret => format!("; sample of {} bytes", sample.len()),
        Some(sample) => format!("; sample {sample}"),
        None => "; no sample".to_owned(),
    };
    format!("{kind}{min} to {max} bytes{sample}")
}

fn explain_services(text: &mut String, profile: &Profile) {
    let deadlines = &profile.deadlines;
    heading(text, "What the unit must reach");
    let wait = deadlines.boot.as_secs();
    line(text, format_args!("  boot    the application starts within {wait} s"));
    if profile.checks.iter().any(|check| check.id == CheckId::Start) {
        let steady = deadlines.steady.as_secs();
        line(text, format_args!("          and runs for {steady} s without a crash"));
    }
    if let Some(wifi) = &profile.wifi {
        let wait = deadlines.wifi.as_secs();
        line(text, format_args!("  WiFi    network {}, an address within {wait} s", wifi.ssid));
    }
    if let Some(mqtt) = &profile.mqtt {
        explain_broker(text, mqtt, deadlines);
    }
}

fn explain_broker(text: &mut String, mqtt: &Mqtt, deadlines: &Deadlines) {
    let wait = deadlines.mqtt.as_secs();
    line(text, format_args!("  broker  {}, within {wait} s", mqtt.endpoint));
    line(text, format_args!("          {}", policy(mqtt.policy)));
    line(text, format_args!("          client id {}, user {}", mqtt.client_id, mqtt.username));
    if mqtt.client_certificate {
        line(text, format_args!("          with a client certificate of the plan's CA"));
    }
    for filter in &mqtt.subscriptions {
        line(text, format_args!("          subscribed to {filter}"));
    }
    if let Some(command) = &mqtt.command {
        let (topic, reply) = (&command.topic, &command.reply_topic);
        let wait = deadlines.command.as_secs();
        line(text, format_args!("  command on {topic}, answered on {reply} within {wait} s"));
    }
}

/// What is called besides network and broker, and by whom.
fn explain_other_services(text: &mut String, profile: &Profile) {
    if let Some(ca) = &profile.ca {
        let caller = match ca.called_by {
            Caller::Bench => "the bench registers the unit before anything is written",
            Caller::Unit => "the unit calls it after it joined",
        };
        line(text, format_args!("  CA      {}: {caller}", ca.url));
        if ca.signing_request {
            line(text, format_args!("          with a signing request: the key is made here"));
        }
    }
    if let Some(api) = &profile.provisioning_api {
        let (url, device) = (&api.url, &api.device);
        line(text, format_args!("  server  {url}/provision/{device} gives the MQTT credentials"));
    }
    if let Some(portal) = &profile.portal {
        let (ssid, address, path) = (&portal.ssid, portal.address, &portal.path);
        line(text, format_args!("  portal  the unit's own network {ssid}, http://{address}{path}"));
        for (field, value) in &portal.fields {
            line(text, format_args!("          {field} = {value}"));
        }
    }
    if let Some(server) = &profile.config_server {
        line(
            text,
            format_args!("  config  {}, which names the broker {}", server.url, server.mqtt_host),
        );
    }
    if let Some(time) = &profile.time {
        line(text, format_args!("  time    {}, UDP port {}", time.server, time.port));
    }
    if let Some(ota) = &profile.ota {
        let (host, port) = &ota.server;
        line(
            text,
            format_args!("  update  notice on {}, image from https://{host}:{port}", ota.topic),
        );
    }
    if let Some(registry) = &profile.registry {
        let uuid = &registry.global_uuid;
        line(text, format_args!("  registry  a row for {uuid}; queued while the registry is away"));
    }
    if let Some(console) = &profile.console {
        for name in DialogueName::ALL {
            for exchange in console.dialogue(name) {
                let expect: Vec<String> = exchange.expect.iter().map(ToString::to_string).collect();
                line(
                    text,
                    format_args!(
                        "  console ({}): {}  →  {}",
                        name.name(),
                        exchange.send.to_string() + &pasted(exchange),
                        expect.join(", ")
                    ),
                );
            }
        }
    }
}

/// What is pasted behind a line.
fn pasted(exchange: &Exchange) -> String {
    exchange.paste.as_ref().map_or_else(String::new, |paste| format!(", then {}", paste.text))
}

fn explain_steps(text: &mut String, profile: Profile) {
    heading(text, "What goldline run does, in this order");
    for (index, step) in Plan::new(Arc::new(profile), Scope::Run).steps.iter().enumerate() {
        line(text, format_args!("  {:2}. {step}", index + 1));
    }
}

fn policy(policy: EndpointPolicy) -> &'static str {
    match policy {
        EndpointPolicy::Redirected => {
            "redirected: the unit holds its final address, and the bench answers for that name"
        }
        EndpointPolicy::TestThenFinal => {
            "test then final: QC runs with bench addresses; the final image is written last"
        }
        EndpointPolicy::Bench => {
            "bench: the unit holds a bench address and never passes on a real port"
        }
    }
}

fn explain_checks(text: &mut String, profile: &Profile) {
    heading(text, "What is checked, in this order");
    for check in &profile.checks {
        line(text, format_args!("  {:15} {}", check.name(), check.id.what()));
        for (name, limits) in &check.limits {
            line(text, format_args!("  {:15}   {name}: {}", "", range(*limits)));
        }
    }
    explain_accepted(text, &profile.accepted);
}

fn explain_accepted(text: &mut String, accepted: &[Accepted]) {
    if accepted.is_empty() {
        return;
    }
    heading(text, "Bad units that these checks may let pass");
    for Accepted { mutant, because } in accepted {
        line(text, format_args!("  {mutant}: {because}"));
    }
}

fn range(limits: Limits) -> String {
    match (limits.lower, limits.upper) {
        (Some(lower), Some(upper)) => format!("{lower} to {upper}"),
        (Some(lower), None) => format!("{lower} or more"),
        (None, Some(upper)) => format!("{upper} or less"),
        (None, None) => "any".to_owned(),
    }
}

/// Bytes in the largest unit that leaves no fraction.
fn size(bytes: u32) -> String {
    if bytes.is_multiple_of(1 << 20) {
        format!("{} MB", bytes >> 20)
    } else {
        format!("{} KB", bytes >> 10)
    }
}

fn region(text: &mut String, offset: u32, name: &str, content: &str) {
    line(text, format_args!("  {offset:#08x}  {name:16} {content}"));
}

fn heading(text: &mut String, heading: &str) {
    line(text, format_args!("\n{heading}"));
}

fn line(text: &mut String, content: fmt::Arguments<'_>) {
    writeln!(text, "{content}").expect("a String takes every text");
}
