//! `[[nest]]` and `[resources]`: what a station has for each unit that lies in it, and what its nests share.
//!
//! ```toml
//! [[nest]]
//! name = "1"
//! device = "serial:/dev/ttyUSB0?baud=921600"
//! power_on = ["./relay", "1", "on"]
//! power_off = ["./relay", "1", "off"]
//! off_ms = 500                          # how long it is off before it is on
//! present = ["./lid", "1"]              # ends with 0 when a unit lies there and the lid is closed, with 1 when not
//! lock = ["./lock", "1", "shut"]
//! unlock = ["./lock", "1", "open"]
//! lamp = ["./lamp", "1"]                # is told running, pass, fail or error besides
//! witness = ["./contacts", "1"]         # ends with 0 when contacts and supply are sound
//! vouches_min = 60                      # how long a PASS tells that the nest was sound
//! within_s = 10                         # how long each of them may take
//! uses = ["shield_box"]
//! path_loss_db = 12.5                   # what a radio's signal loses between the unit and the antenna
//! calibrated = 2026-11-01               # when that was measured
//! calibration_days = 365                # and how long it holds
//!
//! [resources]
//! shield_box = 1
//! joins = 2                             # how many units may be joining at once
//! ```

use std::{collections::BTreeMap, ops::Range, path::PathBuf, time::Duration};

use time::Date;
use toml::de::{DeTable, DeValue};

use super::{
    Fault, Found, Reader, StationFileProblem, StationFileProblem::Alone, missing, plain, table,
    unknown, wrong_type,
};
use crate::{process::Program, profile::Resource};

/// Stands for every nest: `--device nest:all`.
pub const ALL: &str = "all";
const KEYS: &[&str] = &[
    "name",
    "device",
    "power_on",
    "power_off",
    "off_ms",
    "present",
    "lock",
    "unlock",
    "lamp",
    "witness",
    "vouches_min",
    "within_s",
    "uses",
    "path_loss_db",
    "calibrated",
    "calibration_days",
];
/// How long a path loss holds that was measured.
const CALIBRATION_DAYS: u64 = 365;
/// More is no path.
const MOST_LOSS_DB: f64 = 120.0;
/// Long enough for the capacitors of a board without load.
const OFF: Duration = Duration::from_millis(500);
const WITHIN: Duration = Duration::from_secs(10);
const VOUCHES: Duration = Duration::from_secs(60 * 60);

/// A place for one unit.
#[derive(Clone, PartialEq, Debug)]
pub struct Nest {
    /// As people call it: `--device nest:NAME`.
    pub name: String,
    /// URL of its device.
    pub device: String,
    /// Its supply.
    pub power: Option<Power>,
    /// Whether a unit lies there and the lid is closed.
    pub present: Option<Program>,
    /// What holds the lid.
    pub lock: Option<Lock>,
    /// Told `running`, `pass`, `fail` or `error` as its last argument.
    pub lamp: Option<Program>,
    /// Whether contacts and supply are sound.
    pub witness: Option<Program>,
    /// How long a PASS of another unit tells that the nest was sound.
    pub vouches: Duration,
    /// How long each program may take.
    pub within: Duration,
    /// Names of what it shares with others, for as long as a run lasts.
    pub uses: Vec<Resource>,
    /// The way of a radio's signal to the antenna at its other end.
    pub path: Option<RadioPath>,
}

/// What a radio's signal loses between a nest and the antenna at its other end.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RadioPath {
    /// dB.
    pub loss_db: f64,
    /// When that was measured, and for how many days it holds; none where the file does not say.
    pub calibrated: Option<(Date, u16)>,
}

impl RadioPath {
    /// When it was measured, and whether that is too long ago, for a sentence.
    pub fn calibration(&self, today: Date) -> String {
        match self.calibrated {
            None => "never calibrated, as far as the station file says".to_owned(),
            Some((on, days)) if self.is_calibrated(today) => {
                format!("calibrated on {on} for {days} days")
            }
            Some((on, _)) if on > today => format!("calibrated on {on}, which is yet to come"),
            Some((on, days)) => format!("calibrated on {on} for {days} days, which are over"),
        }
    }

    /// Whether it was measured, and not too long ago.
    pub fn is_calibrated(&self, today: Date) -> bool {
        self.calibrated.is_some_and(|(on, days)| {
            let end = on.checked_add(time::Duration::days(days.into()));
            on <= today && end.is_none_or(|end| today <= end)
        })
    }
}

/// The supply of a nest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Power {
    /// Switches it on.
    pub on: Program,
    /// Switches it off.
    pub off: Program,
    /// How long it is off before it is switched on.
    pub off_time: Duration,
}

/// What holds the lid of a nest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lock {
    /// Shuts it.
    pub shut: Program,
    /// Opens it.
    pub open: Program,
}

impl Nest {
    /// All programs that it has.
    pub fn programs(&self) -> impl Iterator<Item = &Program> {
        let power = self.power.iter().flat_map(|power| [&power.on, &power.off]);
        let lock = self.lock.iter().flat_map(|lock| [&lock.shut, &lock.open]);
        let others = [&self.present, &self.lamp, &self.witness].into_iter().flatten();
        power.chain(lock).chain(others)
    }
}

impl Reader<'_> {
    /// All of `[[nest]]`.
    pub(super) fn nests(&self, whole: &Found<'_>) -> Result<Vec<Nest>, Fault> {
        let DeValue::Array(tables) = whole.get_ref() else {
            return Err(wrong_type("nest", whole, "tables: [[nest]]"));
        };
        let mut nests: Vec<Nest> = Vec::with_capacity(tables.len());
        for found in tables {
            let nest = self.nest(table("nest", found)?, found)?;
            if nests.iter().any(|other| other.name == nest.name) {
                return Err((found.span(), StationFileProblem::NestTwice { name: nest.name }));
            }
            nests.push(nest);
        }
        Ok(nests)
    }

    fn nest(&self, section: &DeTable<'_>, whole: &Found<'_>) -> Result<Nest, Fault> {
        for (key, _) in section {
            if !KEYS.contains(&key.get_ref().as_ref()) {
                return Err(unknown(key, KEYS));
            }
        }
        let text = |key: &'static str| section.get(key).map(|value| plain(key, value)).transpose();
        let program =
            |key: &'static str| section.get(key).map(|value| self.program(key, value)).transpose();
        let needed = |key| text(key)?.ok_or_else(|| missing(whole, "nest", key));
        let name = needed("name")?;
        if name.is_empty()
            || name == ALL
            || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        {
            return Err((whole.span(), StationFileProblem::NestName { name }));
        }
        let off_time = span(section, "off_ms", 1, 60_000, Duration::from_millis)?.unwrap_or(OFF);
        let power =
            both(whole, ("power_on", program("power_on")?), ("power_off", program("power_off")?))?;
        let lock = both(whole, ("lock", program("lock")?), ("unlock", program("unlock")?))?;
        let minutes = |minutes| Duration::from_secs(60 * minutes);
        Ok(Nest {
            name,
            device: needed("device")?,
            power: power.map(|(on, off)| Power { on, off, off_time }),
            present: program("present")?,
            lock: lock.map(|(shut, open)| Lock { shut, open }),
            lamp: program("lamp")?,
            witness: program("witness")?,
            vouches: span(section, "vouches_min", 1, 1440, minutes)?.unwrap_or(VOUCHES),
            within: span(section, "within_s", 1, 600, Duration::from_secs)?.unwrap_or(WITHIN),
            uses: section.get("uses").map_or(Ok(Vec::new()), uses)?,
            path: path(section, whole)?,
        })
    }

    /// A path starts at the file's folder; another name is looked up in `PATH`.
    pub(super) fn program(&self, key: &str, value: &Found<'_>) -> Result<Program, Fault> {
        let mut words = texts(key, value)?;
        if words.first().is_none_or(String::is_empty) {
            let key = key.to_owned();
            return Err((value.span(), StationFileProblem::EmptyCommand { key }));
        }
        let named = words.remove(0);
        let program = match named.contains('/') {
            // What a killed run left is taken back from whatever folder the next one starts in.
            true => absolute(self.folder.join(named)),
            false => PathBuf::from(named),
        };
        Ok(Program { program, arguments: words, environment: Vec::new() })
    }
}

fn path(section: &DeTable<'_>, whole: &Found<'_>) -> Result<Option<RadioPath>, Fault> {
    let loss = section.get("path_loss_db").map(loss).transpose()?;
    let on = section.get("calibrated").map(date).transpose()?;
    let days = whole_number_of(section, "calibration_days", 1, 3650)?;
    match (loss, on, days) {
        (Some(loss_db), None, None) => Ok(Some(RadioPath { loss_db, calibrated: None })),
        (Some(loss_db), Some(on), days) => {
            let days = days.unwrap_or(CALIBRATION_DAYS);
            let days = u16::try_from(days).unwrap_or(u16::MAX);
            Ok(Some(RadioPath { loss_db, calibrated: Some((on, days)) }))
        }
        (None, None, None) => Ok(None),
        (None, Some(_), _) => {
            Err((whole.span(), Alone { key: "calibrated", needs: "path_loss_db" }))
        }
        (_, None, Some(_)) => {
            Err((whole.span(), Alone { key: "calibration_days", needs: "calibrated" }))
        }
    }
}

fn loss(value: &Found<'_>) -> Result<f64, Fault> {
    let number = match value.get_ref() {
        DeValue::Float(float) => float.as_str().parse::<f64>().ok(),
        DeValue::Integer(integer) => integer.as_str().parse::<f64>().ok(),
        _ => None,
    };
    let is_one = |loss: &f64| (0.0..=MOST_LOSS_DB).contains(loss);
    number.filter(is_one).ok_or_else(|| (value.span(), StationFileProblem::PathLoss))
}

/// A day, as TOML writes it, without quotes.
fn date(value: &Found<'_>) -> Result<Date, Fault> {
    let day = match value.get_ref() {
        DeValue::Datetime(found) if found.time.is_none() && found.offset.is_none() => found.date,
        _ => None,
    };
    let date = day.and_then(|day| {
        let month = time::Month::try_from(day.month).ok()?;
        Date::from_calendar_date(day.year.into(), month, day.day).ok()
    });
    date.ok_or_else(|| wrong_type("calibrated", value, "a day without quotes, such as 2026-11-01"))
}

fn uses(value: &Found<'_>) -> Result<Vec<Resource>, Fault> {
    texts("uses", value)?.iter().map(|name| resource(name, value.span())).collect()
}

fn resource(name: &str, place: Range<usize>) -> Result<Resource, Fault> {
    name.parse().map_err(|error| (place, StationFileProblem::Resource(error)))
}

fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// How much there is of what nests share, by name.
pub(super) fn resources(section: &DeTable<'_>) -> Result<BTreeMap<Resource, u32>, Fault> {
    let count = |(name, value): (&super::Key<'_>, &Found<'_>)| {
        let resource = resource(name.get_ref(), name.span())?;
        let count = whole_number(resource.as_str(), value, 1, 256)?;
        Ok((resource, u32::try_from(count).unwrap_or(u32::MAX)))
    };
    section.iter().map(count).collect()
}

/// How long the same runs may keep what nests share.
pub(super) fn minutes(value: &Found<'_>) -> Result<Duration, Fault> {
    Ok(Duration::from_secs(60 * whole_number("share_min", value, 1, 1440)?))
}

/// Two programs of which neither is of use without the other.
fn both(
    whole: &Found<'_>,
    (one, first): (&'static str, Option<Program>),
    (other, second): (&'static str, Option<Program>),
) -> Result<Option<(Program, Program)>, Fault> {
    match (first, second) {
        (Some(first), Some(second)) => Ok(Some((first, second))),
        (None, None) => Ok(None),
        (Some(_), None) => Err((whole.span(), Alone { key: one, needs: other })),
        (None, Some(_)) => Err((whole.span(), Alone { key: other, needs: one })),
    }
}

pub(super) fn span(
    section: &DeTable<'_>,
    key: &'static str,
    least: u64,
    most: u64,
    of: fn(u64) -> Duration,
) -> Result<Option<Duration>, Fault> {
    Ok(whole_number_of(section, key, least, most)?.map(of))
}

fn whole_number_of(
    section: &DeTable<'_>,
    key: &str,
    least: u64,
    most: u64,
) -> Result<Option<u64>, Fault> {
    section.get(key).map(|value| whole_number(key, value, least, most)).transpose()
}

fn whole_number(key: &str, value: &Found<'_>, least: u64, most: u64) -> Result<u64, Fault> {
    let number = value
        .get_ref()
        .as_integer()
        .and_then(|integer| u64::from_str_radix(integer.as_str(), integer.radix()).ok());
    number.filter(|number| (least..=most).contains(number)).ok_or_else(|| {
        let key = key.to_owned();
        (value.span(), StationFileProblem::Number { key, least, most })
    })
}

fn texts(key: &str, value: &Found<'_>) -> Result<Vec<String>, Fault> {
    let DeValue::Array(words) = value.get_ref() else {
        return Err(wrong_type(key, value, "a list of texts"));
    };
    words.iter().map(|word| plain(key, word)).collect()
}
