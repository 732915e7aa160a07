//! What must be there before the first unit of a lot: board, images, values, services.

use super::{heading, item, line};
use crate::profile::{
    AppSource, BootloaderSource, Caller, Mqtt, NvsKeyScheme, Profile, Template, ValueSource,
    ValueSpec, Wifi,
};

pub(super) fn list(text: &mut String, profile: &Profile) {
    heading(text, "Before the first unit");
    for what in board(profile).into_iter().chain(rehearsal(profile)) {
        item(text, &what);
    }
    line(text, format_args!("\n### Values to bring\n"));
    let (brought, made): (Vec<_>, Vec<_>) =
        profile.values.iter().partition(|value| value.source == ValueSource::Site);
    for value in brought {
        item(text, &to_bring(value));
    }
    for value in made {
        item(text, &to_be_made(value));
    }
    line(text, format_args!("\n### Services\n"));
    for what in services(profile) {
        item(text, &what);
    }
}

fn board(profile: &Profile) -> Vec<String> {
    let chip = profile.chip;
    let bootloader = match &profile.images.bootloader {
        BootloaderSource::EspIdf => format!("ESP-IDF's own for {chip}, which Goldline brings"),
        BootloaderSource::File(file) => format!("`{file}`"),
    };
    let mut list = vec![
        format!("the board has an {chip}: the chip is asked, and another one is a FAIL"),
        format!("boot loader: {bootloader}"),
        format!("application: {}", application(&profile.images.app)),
    ];
    if let Some(factory) = &profile.factory {
        list.push(format!("provisioning firmware: {}", application(&factory.app)));
    }
    if let Some(ota) = &profile.ota {
        list.push(format!("update {}: {}", ota.update.version, application(&ota.update.app)));
        list.extend(
            ota.bad_update.as_ref().map(|update| {
                format!("bad update {}: {}", update.version, application(&update.app))
            }),
        );
    }
    list.push(format!("security features: {}", security(profile)));
    list
}

fn application(source: &AppSource) -> String {
    match source {
        AppSource::Model { name } => format!(
            "the model `{name}` is for simulated units; for real ones name your image in the profile"
        ),
        AppSource::File(file) => format!("`{file}`"),
    }
}

fn security(profile: &Profile) -> String {
    let nvs = match profile.nvs.encryption.as_ref().map(|encryption| &encryption.scheme) {
        None => "NVS is not encrypted".to_owned(),
        Some(NvsKeyScheme::Partition { name }) => {
            format!("NVS is encrypted, with its keys in the partition `{name}`")
        }
        Some(NvsKeyScheme::Hmac) => {
            "NVS is encrypted with the HMAC key in the eFuses, which must be burnt before"
                .to_owned()
        }
    };
    let fuses = match profile.security {
        None => String::new(),
        Some(_) => format!(
            "; `goldline secure {}` prints the commands for what [security] demands, and `security_state` judges it",
            profile.name
        ),
    };
    format!("{nvs}; flash encryption and secure boot are not burnt by Goldline{fuses}")
}

fn rehearsal(profile: &Profile) -> Vec<String> {
    let name = &profile.name;
    vec![
        format!("`goldline profile check {name}` says that the profile is valid"),
        format!("`goldline run {name}` on the simulated unit ends in PASS"),
        "one test unit of this lot ended in PASS, before the others".to_owned(),
        "the addresses on this sheet are the site's own, and no sample's".to_owned(),
    ]
}

fn to_bring(value: &ValueSpec) -> String {
    let ValueSpec { name, min_bytes, max_bytes, .. } = value;
    if value.secret {
        format!(
            "`{name}`: {min_bytes} to {max_bytes} bytes, **secret**: made for this site, kept from others, given by `@FILE` or `$VARIABLE`"
        )
    } else {
        format!("`{name}`: {min_bytes} to {max_bytes} bytes: ____________")
    }
}

fn to_be_made(value: &ValueSpec) -> String {
    let kind = if value.secret { ", **secret**" } else { "" };
    format!("`{}`: {}{kind}", value.name, super::super::origin(value))
}

/// What answers, and whose certificate counts; in the order in which a unit meets them.
fn services(profile: &Profile) -> Vec<String> {
    let mut list: Vec<String> = profile.wifi.iter().map(network).collect();
    if let Some(ca) = &profile.ca {
        let caller = match ca.called_by {
            Caller::Bench => "the bench",
            Caller::Unit => "the unit",
        };
        list.push(format!(
            "CA {} answers {caller} (`goldline ca test URL` registers nothing){}",
            ca.url,
            valid_certificate(profile, &ca.url)
        ));
    }
    if let Some(api) = &profile.provisioning_api {
        list.push(format!(
            "provisioning server {} is deployed and answers the bench{}",
            api.url,
            valid_certificate(profile, &api.url)
        ));
    }
    if let Some(portal) = &profile.portal {
        list.push(format!(
            "the bench is in reach of the unit's own network {}, http://{}{}",
            portal.ssid, portal.address, portal.path
        ));
    }
    if let Some(server) = &profile.config_server {
        list.push(format!(
            "config server {} is deployed and answers the unit{}",
            server.url,
            valid_certificate(profile, &server.url)
        ));
    }
    if let Some(time) = &profile.time {
        list.push(format!("time server {} answers on UDP port {}", time.server, time.port));
    }
    list.extend(profile.mqtt.as_ref().map(|mqtt| broker(profile, mqtt)));
    if let Some(ota) = &profile.ota {
        let (host, port) = &ota.server;
        list.push(format!(
            "update server https://{host}:{port} serves the updates; its certificate is installed and valid"
        ));
    }
    if profile.registry.is_some() {
        list.push(
            "registry: `goldline registry pending` shows no row of an earlier lot that is stuck"
                .to_owned(),
        );
    }
    list
}

fn network(wifi: &Wifi) -> String {
    let hidden = if wifi.hidden { ", which hides its name" } else { "" };
    format!("access point {}{hidden} is in reach, on 2.4 GHz", wifi.ssid)
}

fn broker(profile: &Profile, mqtt: &Mqtt) -> String {
    let endpoint = &mqtt.endpoint;
    let admission = if mqtt.client_certificate {
        "; it admits units by a certificate of the plan's CA"
    } else {
        ""
    };
    format!("broker {endpoint} answers{}{admission}", valid_certificate(profile, endpoint))
}

/// Of an address that is spoken to over TLS, where the profile or a sample says so.
fn valid_certificate(profile: &Profile, address: &Template) -> String {
    let text = address.to_string();
    let sample = address.symbols().find_map(|symbol| {
        let value = profile.values.iter().find(|value| value.name == symbol)?;
        value.sample.clone().filter(|_| !value.secret)
    });
    let is_over_tls = |text: &str| text.starts_with("https:") || text.starts_with("mqtts:");
    let is_open = |text: &str| text.starts_with("http:") || text.starts_with("mqtt:");
    if is_over_tls(&text) || sample.as_deref().is_some_and(is_over_tls) {
        "; its certificate is installed and valid".to_owned()
    } else if is_open(&text) || sample.as_deref().is_some_and(is_open) {
        "; over https its certificate is installed and valid".to_owned()
    } else {
        String::new()
    }
}
