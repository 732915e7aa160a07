//! Times as people at the station read and write them: in the zone of its machine (`TZ`, else `/etc/localtime`).
//!
//! Must not know where a time is kept: that is UTC, and so is what programs read.

use std::sync::LazyLock;

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use super::output;

static STATION: LazyLock<Zone> = LazyLock::new(Zone::of_this_machine);

/// A moment to the second, in the station's zone, with its distance from UTC.
pub(super) fn shown(at: OffsetDateTime) -> String {
    STATION.shown(at)
}

/// A moment as people write it: with its distance from UTC, or in the station's zone; a day is its beginning.
pub(super) fn asked(text: &str) -> Option<OffsetDateTime> {
    STATION.asked(text)
}

struct Zone(TimeZone);

impl Zone {
    fn of_this_machine() -> Self {
        Self(TimeZone::try_system().unwrap_or_else(|error| {
            output::complain(&format!(
                "times are in UTC, for the zone of this machine is not known: {error}"
            ));
            TimeZone::UTC
        }))
    }

    fn shown(&self, at: OffsetDateTime) -> String {
        let whole = at.replace_nanosecond(0).unwrap_or(at);
        let here = self.offset_at(whole).map_or(whole, |offset| whole.to_offset(offset));
        here.format(&Rfc3339).unwrap_or_default()
    }

    fn asked(&self, text: &str) -> Option<OffsetDateTime> {
        if let Ok(moment) = OffsetDateTime::parse(text, &Rfc3339) {
            return Some(moment);
        }
        let day = text.parse::<Date>().ok().filter(|_| text.len() == "2026-11-26".len());
        let local = day.map(DateTime::from).or_else(|| text.parse().ok())?;
        // A clock that is set forward skips some, and the moment after it is meant.
        let moment = self.0.to_ambiguous_timestamp(local).compatible().ok()?;
        OffsetDateTime::from_unix_timestamp(moment.as_second()).ok()
    }

    fn offset_at(&self, at: OffsetDateTime) -> Option<UtcOffset> {
        let at = Timestamp::from_second(at.unix_timestamp()).ok()?;
        UtcOffset::from_whole_seconds(self.0.to_offset(at).seconds()).ok()
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    /// With the rule of its summer time, as a zone without a database is written.
    fn berlin() -> Zone {
        Zone(TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone"))
    }

    #[test]
    fn a_moment_is_shown_as_the_clock_on_the_wall_shows_it() {
        let shown = |at| berlin().shown(at);
        assert_eq!(shown(datetime!(2026-01-05 23:30:07.9 UTC)), "2026-01-06T00:30:07+01:00");
        assert_eq!(shown(datetime!(2026-07-05 23:30 UTC)), "2026-07-06T01:30:00+02:00");
        assert_eq!(
            Zone(TimeZone::UTC).shown(datetime!(2026-07-05 23:30 UTC)),
            "2026-07-05T23:30:00Z"
        );
    }

    #[test]
    fn a_day_begins_at_the_midnight_of_the_zone() {
        let asked = |text| berlin().asked(text);
        assert_eq!(asked("2026-11-26"), Some(datetime!(2026-11-25 23:00 UTC)));
        assert_eq!(asked("2026-07-26"), Some(datetime!(2026-07-25 22:00 UTC)));
        assert_eq!(asked("2026-07-26T06:30"), Some(datetime!(2026-07-26 04:30 UTC)));
        assert_eq!(asked("2026-07-26 06:30:05"), Some(datetime!(2026-07-26 04:30:05 UTC)));
        assert_eq!(asked("2026-07-26T06:30:00Z"), Some(datetime!(2026-07-26 06:30 UTC)));
        assert_eq!(asked("2026-07-26T06:30:00-05:00"), Some(datetime!(2026-07-26 11:30 UTC)));
    }

    /// Half past two of 29 March is half past three.
    #[test]
    fn an_hour_that_a_clock_skips_is_the_one_after_it() {
        assert_eq!(berlin().asked("2026-03-29T02:30"), Some(datetime!(2026-03-29 01:30 UTC)));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in
            ["yesterday", "2026-13-01", "2026-02-30", "26.11.2026", "06:30", "2026-11-26T25:00", ""]
        {
            assert_eq!(berlin().asked(text), None, "{text}");
        }
    }
}
