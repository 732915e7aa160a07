//! NVS that does not hold what it should: every entry of a good unit, wrong in one way, and a unit with another's.
//!
//! An entry is changed once a unit has it, whoever wrote it. Entries of frameworks are theirs. No value is shown.

mod certificates;
mod change;
mod store;

use std::sync::Arc;

use goldline_nvs::{Image, Value};
use goldline_simulator::Tampering;

use super::{
    catalogue::Catalogue,
    good_unit::GoodUnit,
    mutant::{self, Kind, Must, Mutant},
};
use crate::{
    profile::{NvsEntry, Profile, Template},
    testbed::authority::Authority,
};
use change::{Change, ELSEWHERE, STRANGER, other_namespace};
use store::Store;

/// A word of so many letters may be any.
const SHORT: usize = 4;

/// Adds every way in which the NVS of a product can be wrong, of which this is a good unit, and this another one.
pub(super) fn add(
    catalogue: &mut Catalogue,
    profile: &Profile,
    good: &GoodUnit,
    another: Option<&GoodUnit>,
    authority: &Arc<Authority>,
) {
    let Some(store) = Store::of(profile) else { return };
    let Some(plain) = store.plain(&good.cells) else { return };
    let theirs = another.and_then(|another| store.plain(&another.cells));
    let of_good = Good { store, profile, plain };
    catalogue.count(of_good.entries(theirs.as_deref(), authority));
    catalogue.count(theirs.and_then(|theirs| of_good.cloned(&theirs)));
}

/// A good unit's NVS.
struct Good<'a> {
    store: Store,
    profile: &'a Profile,
    plain: Vec<u8>,
}

impl Good<'_> {
    /// What is wrong with the planned entries, and what is too many.
    fn entries(&self, theirs: Option<&[u8]>, authority: &Arc<Authority>) -> Vec<Mutant> {
        let mut mutants = Vec::new();
        for entry in &self.profile.nvs.entries {
            let Some(good) = value(&self.plain, entry) else { continue };
            for (name, what, change) in change::of_any_entry(&good) {
                mutants.extend(self.mutant(entry, name, what, change));
            }
            let other = theirs.and_then(|theirs| value(theirs, entry));
            if let Some(other) = other.filter(|other| *other != good) {
                let change = Change::Value(other);
                mutants.extend(self.mutant(entry, "of_another", "is another unit's", change));
            }
            for (name, what, change) in certificates::of_entry(&good, authority) {
                let mutant = self.mutant(entry, name, what, change);
                mutants.extend(mutant.map(|of| certificates::mutant(of, &good)));
            }
            // A unit that was blank before it ran has no earlier life: what its own firmware overwrote is nobody's secret.
            if self.profile.method.flashes_nvs() {
                let what = "had another value, which can be read in an erased entry";
                mutants.extend(self.mutant(entry, "leftover", what, Change::Leftover));
            }
        }
        if let Some(first) = self.profile.nvs.entries.first() {
            let what = "has a neighbour that nobody planned";
            mutants.extend(self.mutant(first, "extra", what, Change::Extra));
            let what = "has a neighbour in a namespace that nobody planned";
            mutants.extend(self.mutant(first, "extra_namespace", what, Change::ExtraNamespace));
        }
        mutants
    }

    /// `None` where a good unit would not be another by it.
    fn mutant(&self, entry: &NvsEntry, name: &str, what: &str, change: Change) -> Option<Mutant> {
        let NvsEntry { namespace, key, .. } = entry;
        let changed = change.on(&self.plain, namespace, key)?;
        let naming = self.naming(entry, &change, &changed);
        let (means, remedy) = meaning(&change);
        let (store, of) = (self.store.clone(), (namespace.clone(), key.clone()));
        let how = Tampering::new(move |cells| {
            let changed = change.on(&store.plain(cells)?, &of.0, &of.1)?;
            store.put(cells, &changed)
        })
        .watching(self.store.range());
        Some(Mutant {
            kind: Kind::Nvs,
            id: format!("{}.{namespace}.{key}.{name}", Kind::Nvs),
            what: format!("the NVS entry {namespace}/{key} {what}"),
            means: means.to_owned(),
            remedy: remedy.to_owned(),
            must: Must::Fail { naming },
            change: mutant::Change::Flash(how),
        })
    }

    /// An entry is told by its name, by its key where a firmware looks for it, or by the place in the image.
    fn naming(&self, entry: &NvsEntry, change: &Change, changed: &[u8]) -> Vec<String> {
        let NvsEntry { namespace, key, .. } = entry;
        let own = format!("{namespace}/{key}");
        match change {
            Change::Extra => vec![format!("{namespace}/{STRANGER}")],
            Change::ExtraNamespace => vec![format!("{ELSEWHERE}/{STRANGER}")],
            Change::OtherNamespace => {
                vec![own, format!("{}/{key}", other_namespace(namespace)), key.clone()]
            }
            // The image is read as a whole there: no entry of it is another.
            Change::Leftover => {
                let differs = self.plain.iter().zip(changed).position(|(old, new)| old != new);
                let byte = differs.map(|at| format!("byte {at:#x}"));
                [own, "nvs.leftover_secret".to_owned()].into_iter().chain(byte).collect()
            }
            Change::Twice => {
                [own].into_iter().chain(self.places(entry)).chain(self.symptoms(entry)).collect()
            }
            _ => {
                // A short key stands in many a sentence.
                let key = (key.len() > SHORT).then(|| key.clone());
                [own].into_iter().chain(key).chain(self.symptoms(entry)).collect()
            }
        }
    }

    /// Where parts of an entry lie: of a blob that stands there twice, it is a part that is too many.
    fn places(&self, entry: &NvsEntry) -> Vec<String> {
        let Ok(image) = Image::decode(&self.plain) else { return Vec::new() };
        let parts = image.items().map(|item| item.header);
        let parts = parts.filter(|header| header.key() == *entry.key.as_str());
        parts
            .map(|header| format!("page {} entry {} ", header.location.page, header.location.entry))
            .collect()
    }

    /// Where a firmware goes by the entry, its service tells what is wrong before the flash is read again.
    fn symptoms(&self, entry: &NvsEntry) -> Vec<String> {
        let is_of = |template: &Template| {
            template.symbols().any(|symbol| entry.value.symbols().any(|own| own == symbol))
        };
        let ca = self.profile.ca.as_ref();
        let certificate = value(&self.plain, entry).map(|good| certificates::symptoms(&good));
        let (wifi, mqtt) = (self.profile.wifi.as_ref(), self.profile.mqtt.as_ref());
        let mut user = mqtt.into_iter().flat_map(|mqtt| [&mqtt.username, &mqtt.password]);
        let all = [
            (wifi.is_some_and(|wifi| is_of(&wifi.ssid)), "wifi.access_point_not_found"),
            (wifi.is_some_and(|wifi| is_of(&wifi.password)), "wifi.wrong_password"),
            (user.any(is_of), "mqtt.bad_credentials"),
            (mqtt.is_some_and(|mqtt| is_of(&mqtt.client_id)), "mqtt.identity_differs"),
            (ca.is_some_and(|ca| is_of(&ca.uuid)), "the CA refused the unit: uuid"),
            (ca.is_some_and(|ca| is_of(&ca.psk)), "the CA refused the unit: psk"),
            (ca.is_some_and(|ca| is_of(&ca.url)), "never called the CA"),
            // What is the same in every unit is a firmware's own mark: that it has what it needs.
            (entry.value.literal().is_some(), "firmware.configuration"),
        ];
        let codes = all.into_iter().filter(|(is, _)| *is).map(|(_, code)| code);
        codes.chain(certificate.unwrap_or_default().iter().copied()).map(str::to_owned).collect()
    }

    /// A unit with all that another one stores.
    fn cloned(&self, theirs: &[u8]) -> Option<Mutant> {
        let differ = |entry: &&NvsEntry| value(theirs, entry) != value(&self.plain, entry);
        let entries: Vec<&NvsEntry> = self.profile.nvs.entries.iter().filter(differ).collect();
        let names = entries.iter().map(|entry| format!("{}/{}", entry.namespace, entry.key));
        let symptoms = entries.iter().flat_map(|entry| self.symptoms(entry));
        let naming: Vec<String> = names.chain(symptoms).collect();
        if naming.is_empty() {
            return None;
        }
        let (store, whole) = (self.store.clone(), theirs.to_vec());
        let first = self.profile.nvs.entries.first()?.clone();
        let how = Tampering::new(move |cells| {
            value(&store.plain(cells)?, &first)?;
            store.put(cells, &whole)
        })
        .watching(self.store.range());
        Some(Mutant {
            kind: Kind::Identity,
            id: format!("{}.cloned", Kind::Identity),
            what: "the unit holds the values of another one".to_owned(),
            means: "two units are the same to their service, and one of them is locked out"
                .to_owned(),
            remedy: "nvs_readback, or device_id".to_owned(),
            must: Must::Fail { naming },
            change: mutant::Change::Flash(how),
        })
    }
}

/// What a device reads there.
fn value(plain: &[u8], entry: &NvsEntry) -> Option<Value> {
    let image = Image::decode(plain).ok()?;
    image.device_view().get(&entry.namespace, &entry.key).cloned()
}

fn meaning(change: &Change) -> (&'static str, &'static str) {
    match change {
        Change::Leftover => (
            "whoever reads the unit's flash finds a secret that is none of its own",
            "nvs_readback",
        ),
        Change::Extra | Change::ExtraNamespace => {
            ("something is in the unit that nobody planned", "nvs_readback")
        }
        Change::Twice => {
            ("the unit has one value today, and after its next start another", "nvs_readback")
        }
        _ => ("the unit does not do what its owner set", "nvs_readback"),
    }
}
