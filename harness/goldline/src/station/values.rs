//! The values of a unit that is provisioned now: who gives them, and whether they fit, tried before any
//! unit is touched.
//!
//! Must not know how a value reaches the unit.

use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::request::Request;
use crate::{
    engine::{News, NoRow, registry_row},
    identity::Mac,
    image::FlashImages,
    plan::{
        BindingError, Bindings, BoundPlan, Given, GivenError, Identity, MaterialError, Plan,
        Sources, Text, UnitRow, Units, UnitsError,
    },
    profile::{
        CatalogError, Profile, StationFile, Unsayable, ValueSource, did_you_mean, learnt_samples,
        list,
    },
    secret::Secret,
};

/// Stands for a MAC while values are tried for fit before the unit is known.
const REHEARSAL_MAC: Mac = Mac([0x02, 0, 0, 0, 0, 0]);

/// Values are missing or do not fit. No message repeats one.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum ValuesError {
    #[error(transparent)]
    Given(#[from] GivenError),
    #[error(transparent)]
    Units(#[from] UnitsError),
    #[error("{} has {units} units for {devices} devices", .path.display())]
    UnitCount { path: PathBuf, units: usize, devices: usize },
    #[error("{} has no unit \"{label}\": it has {}", .path.display(), named(.known))]
    NoSuchRow { path: PathBuf, label: String, known: Vec<String> },
    #[error(transparent)]
    Binding(#[from] BindingError),
    #[error(transparent)]
    Material(#[from] MaterialError),
    #[error("the station file has a value \"{name}\", which no profile has: this one has {}{}", .existing.join(", "), did_you_mean(.name, .existing.iter().map(String::as_str)))]
    Foreign { name: String, existing: Vec<String> },
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Unsayable(#[from] Unsayable),
    #[error(transparent)]
    NoRow(#[from] NoRow),
}

impl ValuesError {
    /// What to do about it, where the message does not say so.
    pub fn action(&self) -> Option<String> {
        match self {
            Self::UnitCount { .. } => {
                Some("give as many rows as --device arguments, in the same order; or pick them with --row ID, or make them in turn with --loop".to_owned())
            }
            _ => None,
        }
    }
}

/// What was given for each unit, in the order of the devices.
pub(super) fn given(
    request: &Request,
    station: Option<&StationFile>,
    profile: &Profile,
    devices: usize,
) -> Result<Vec<Given>, ValuesError> {
    let mut common = Given::default();
    for setting in &request.settings {
        common.parse_set(profile, setting)?;
    }
    if let Some(station) = station {
        refuse_unknown(request, station, profile)?;
    }
    let with_station = |mut given: Given| -> Result<Given, ValuesError> {
        if let Some(station) = station {
            given.take_station(profile, station)?;
        }
        Ok(given)
    };
    let Some(path) = &request.units else {
        return Ok(vec![with_station(common)?; devices]);
    };
    let units = Units::load(path, profile)?;
    rows(request, path, &units, devices)?
        .into_iter()
        .map(|row| {
            let mut given = common.clone();
            given.take_row(row);
            with_station(given)
        })
        .collect()
}

/// A value of the station's that no product has is a misspelt one, and the profile's own would ship in
/// its place. A line that makes several products has values of all of them.
fn refuse_unknown(
    request: &Request,
    station: &StationFile,
    profile: &Profile,
) -> Result<(), ValuesError> {
    let has = |profile: &Profile, name: &str| profile.values.iter().any(|spec| spec.name == *name);
    let mut foreign = station.values.keys().filter(|name| !has(profile, name)).peekable();
    if foreign.peek().is_none() {
        return Ok(());
    }
    // One that is not valid has no values that anybody knows.
    let others = list(request.profiles.as_deref())?;
    let others: Vec<_> = others.iter().filter_map(|listed| listed.load().ok()).collect();
    for name in foreign {
        if !others.iter().any(|other| has(other, name)) {
            let existing = profile.values.iter().map(|spec| spec.name.clone()).collect();
            return Err(ValuesError::Foreign { name: name.clone(), existing });
        }
        tracing::info!("the station's value \"{name}\" belongs to another product");
    }
    Ok(())
}

/// A row for each device: those that were named, else all.
fn rows<'a>(
    request: &Request,
    path: &Path,
    units: &'a Units,
    devices: usize,
) -> Result<Vec<&'a UnitRow>, ValuesError> {
    let all = units.rows();
    let named = |label: &String| {
        all.iter().find(|row| row.label() == *label).ok_or_else(|| ValuesError::NoSuchRow {
            path: path.to_owned(),
            label: label.clone(),
            known: all.iter().map(UnitRow::label).collect(),
        })
    };
    let rows: Vec<_> = match request.rows.as_slice() {
        [] => all.iter().collect(),
        labels => labels.iter().map(named).collect::<Result<_, _>>()?,
    };
    if rows.len() != devices {
        let (path, units) = (path.to_owned(), rows.len());
        return Err(ValuesError::UnitCount { path, units, devices });
    }
    Ok(rows)
}

/// The first ones of a file that may have thousands.
fn named(labels: &[String]) -> String {
    const SHOWN: usize = 10;
    let shown = labels.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match labels.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Refuses what was given and cannot be typed into the unit's console.
pub(super) fn refuse_unsayable(profile: &Profile, given: &[Given]) -> Result<(), ValuesError> {
    for given in given {
        profile.refuse_unsayable(|name| Some(given.text(name)?.expose()))?;
    }
    Ok(())
}

/// Tries whether the values of a unit that is provisioned now will fit its plan, whatever its MAC; what
/// comes out.
pub(super) fn try_for_fit(
    plan: &Plan,
    given: &Given,
    identity: Identity,
    sources: &mut impl Sources,
    images: &FlashImages,
    (now, bench_root): (OffsetDateTime, &str),
) -> Result<BoundPlan, ValuesError> {
    let profile = &plan.profile;
    let mut rehearsal = Bindings::resolve(profile, given, identity, sources)?;
    rehearsal.bind_mac(REHEARSAL_MAC)?;
    rehearse_learning(profile, &mut rehearsal)?;
    let tested = match plan.finishes() {
        true => {
            let tested = rehearsal.on_bench(profile, bench_root)?;
            Some(BoundPlan::bind(plan.clone(), tested, images)?)
        }
        false => None,
    };
    let bound = BoundPlan::bind(plan.clone(), rehearsal, images)?;
    profile.refuse_unsayable(|name| Some(bound.bindings().get(name)?.expose()))?;
    if let Some(spec) = &profile.registry {
        registry_row(&bound, spec, News::Provisioned, now)?;
    }
    Ok(tested.unwrap_or(bound))
}

/// Puts samples in the place of what the run will learn, so that what is made of it is tried for fit.
fn rehearse_learning(profile: &Profile, bindings: &mut Bindings) -> Result<(), BindingError> {
    for (name, sample, secret) in learnt_samples() {
        let asked = profile.values.iter().any(|spec| matches!(&spec.source, ValueSource::Template(template) if template.symbols().any(|symbol| symbol == name)));
        if bindings.get(name).is_none() && !asked {
            let text =
                if secret { Text::secret(Secret::new(sample)) } else { Text::public(sample) };
            bindings.bind(name, text)?;
        }
    }
    Ok(())
}
