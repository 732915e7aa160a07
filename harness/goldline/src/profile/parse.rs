//! Turns the text of a profile into a [`Profile`], or says everything that is wrong with it and where.
//!
//! Each section has its own file; all of them push what they find into one list, so that a person
//! corrects a file in one go. Must not touch the disk, but for what a build says of itself.

mod accepted;
mod bench_values;
mod build;
mod checks;
mod content;
mod dialogue;
mod flash;
mod learnt;
mod needs;
mod own_tests;
mod security;
mod services;
mod values;

use std::{ops::Range, path::Path};

use sha2::{Digest, Sha256};

use super::{
    Chip, InterfaceOff, Method, Profile,
    problem::{Located, Problem, ProfileError},
    raw::{At, RawInterfaceOff, RawProfile},
    template::Template,
};
use crate::hex::hex;
pub(super) use learnt::samples;
use values::Names;

impl Profile {
    /// Reads the profile in `text`. `file` is the name that errors show; `folder` is where the images
    /// that the profile names lie, `None` for a profile without a folder of its own.
    ///
    /// # Errors
    /// The first fault of form (no TOML, an unknown key), or else everything that is wrong.
    pub fn parse(file: &str, text: &str, folder: Option<&Path>) -> Result<Self, ProfileError> {
        let raw = toml::from_str(text)
            .map_err(|error| ProfileError::new(file, text, vec![form_problem(&error, text)]))?;
        let mut problems = Problems(Vec::new());
        match problems.profile(raw, folder) {
            Some(profile) if problems.0.is_empty() => {
                Ok(Self { digest: hex(&Sha256::digest(text)), ..profile })
            }
            _ => Err(ProfileError::new(file, text, problems.0)),
        }
    }
}

fn interface_off(raw: RawInterfaceOff) -> InterfaceOff {
    let not_seen = raw.not_seen.into_iter().map(At::into_inner).collect();
    InterfaceOff { portal: raw.portal, not_seen }
}

/// Words a fault of form as the rest of the profile errors: TOML has keys, not fields.
fn form_problem(error: &toml::de::Error, text: &str) -> Located {
    let message = error.message().trim().replace('\n', "; ");
    let message = match message.split_once(" field ") {
        Some((start @ ("unknown" | "missing" | "duplicate"), rest)) => {
            format!("{start} key {rest}")
        }
        _ => message,
    };
    let span = error.span().unwrap_or(0..0);
    let span = span.start.min(text.len())..span.end.min(text.len());
    Located { span, problem: Problem::Form { message } }
}

/// A section that is there must be whole; `None` when it has a fault, which was pushed.
fn complete<T>(section: Option<Option<T>>) -> Option<Option<T>> {
    match section {
        None => Some(None),
        Some(None) => None,
        Some(Some(section)) => Some(Some(section)),
    }
}

/// What was found wrong so far. A method that returns `None` has left a problem here.
struct Problems(Vec<Located>);

impl Problems {
    fn push(&mut self, span: Range<usize>, problem: impl Into<Problem>) {
        self.0.push(Located { span, problem: problem.into() });
    }

    fn profile(&mut self, raw: RawProfile, folder: Option<&Path>) -> Option<Profile> {
        if *raw.schema.get_ref() != 1 {
            self.push(raw.schema.span(), Problem::Schema { found: *raw.schema.get_ref() });
        }
        let name = self.profile_name(&raw.name);
        let methods = Method::ALL.map(|method| (method.name(), method));
        let method = self.one_of("method", &raw.method, &methods);
        let learnt = learnt::of_profile(&raw);
        let places = needs::Places::of(&raw);
        let chips = Chip::ALL.map(|chip| (chip.name(), chip));
        let chip = self.one_of("chip", &raw.chip.model, &chips);
        let images_at = raw.images.span();
        let build = self.build(raw.images.get_ref(), folder);
        let flash = self.flash_map(&raw.chip.flash_size, raw.partition, build.as_ref(), images_at);
        let values = self.values(raw.values, &learnt);
        let scope = Names::of(&values, &learnt);
        let bench_values = self.bench_values(raw.bench_values, &values);
        let nvs = self.nvs(raw.nvs, flash.as_ref(), &scope);
        let wifi = raw.wifi.map(|raw| self.wifi(&raw, &scope));
        let mqtt = raw.mqtt.map(|raw| self.mqtt(raw, &scope));
        let own = nvs.as_ref().map(build::own_partitions).unwrap_or_default();
        let target = build::Target { chip, flash: flash.as_ref(), own: &own };
        let images = self.images(raw.images, build, &target, folder);
        let has_ca = raw.ca.is_some();
        let ca = raw.ca.map(|raw| self.ca(raw, &scope));
        let registry = raw.registry.map(|raw| self.registry(raw, &scope));
        let console = raw.console.map(|raw| self.console(raw, &scope, has_ca));
        let provisioning_api = raw.provisioning_api.map(|raw| self.provisioning_api(raw, &scope));
        let portal = raw.portal.map(|raw| self.portal(raw, &scope));
        let interface_off = raw.interface_off.map(interface_off);
        let config_server = raw.config_server.map(|raw| self.config_server(raw, &scope));
        let security = raw.security.map(|raw| self.security(raw, chip));
        let time = raw.time.map(|raw| self.time(raw, &scope));
        let ota = raw.ota.map(|raw| self.ota(raw, flash.as_ref(), folder, &scope));
        let factory = raw.factory.map(|raw| self.factory(raw, folder, &scope));
        let alert = raw.alert.map(|raw| self.alert(raw, &scope));
        let reprovision = self.reprovision(raw.reprovision, &values, &scope);
        let deadlines = self.deadlines(&raw.deadlines);
        let checks = self.checks(raw.check, wifi.is_some(), folder);
        let accepted = raw.prove.map_or_else(Vec::new, |raw| self.accepted(raw));
        let profile = Profile {
            name: name?,
            digest: String::new(),
            title: raw.title,
            method: method?,
            chip: chip?,
            flash: flash?,
            images: images?,
            rewrites: raw.flash.and_then(|flash| flash.rewrite).unwrap_or(true),
            values,
            bench_values,
            nvs: nvs?,
            wifi: complete(wifi)?,
            mqtt: complete(mqtt)?,
            ca: complete(ca)?,
            registry: complete(registry)?,
            console: complete(console)?,
            provisioning_api: complete(provisioning_api)?,
            portal: complete(portal)?,
            interface_off,
            config_server: complete(config_server)?,
            security: complete(security)?,
            time: complete(time)?,
            ota: complete(ota)?,
            factory: complete(factory)?,
            alert: complete(alert)?,
            reprovision,
            deadlines,
            checks,
            accepted,
        };
        self.needs(&profile, &places);
        Some(profile)
    }

    fn profile_name(&mut self, name: &At<String>) -> Option<String> {
        let text = name.get_ref();
        let good = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if text.is_empty() || text.starts_with('-') || !text.bytes().all(good) {
            self.push(name.span(), Problem::ProfileName { name: text.clone() });
            return None;
        }
        Some(text.clone())
    }

    /// The choice of that name.
    fn one_of<T: Copy>(
        &mut self,
        what: &'static str,
        found: &At<String>,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let choice = choices.iter().find(|(name, _)| name == found.get_ref());
        if choice.is_none() {
            let expected = choices.iter().map(|(name, _)| (*name).to_owned()).collect();
            let found_text = found.get_ref().clone();
            self.push(found.span(), Problem::Unknown { what, found: found_text, expected });
        }
        choice.map(|(_, choice)| *choice)
    }

    /// A template whose every symbol the scope knows.
    fn template(&mut self, source: &At<String>, scope: &Names<'_>) -> Option<Template> {
        let template = match source.get_ref().parse::<Template>() {
            Ok(template) => template,
            Err(error) => {
                self.push(source.span(), error);
                return None;
            }
        };
        let mut known = true;
        for symbol in template.symbols() {
            if let Some(problem) = scope.missing(symbol) {
                self.push(source.span(), problem);
                known = false;
            }
        }
        known.then_some(template)
    }
}
