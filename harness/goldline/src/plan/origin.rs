//! Who gave a value.

/// Where a bound value came from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Origin {
    /// `--set`.
    Set,
    /// The unit's row of `--units`.
    UnitsRow,
    /// What the station remembers of the unit.
    Remembered,
    /// The station file.
    StationFile,
    /// The profile's sample.
    Sample,
    /// Leased from the state directory.
    Lease,
    /// Made by the operating system's generator.
    Random,
    /// Built of other values.
    Template,
    /// Learnt during the run.
    Engine,
    /// What a unit is told while it is tested, and is not shipped with.
    Bench,
    /// Issued to the unit during the run by a CA or a server; remembered with its values.
    Issued,
}
