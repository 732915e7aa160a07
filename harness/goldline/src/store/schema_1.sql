-- Every run of the station. `record` is the whole record as JSON; the other columns are what queries need.
CREATE TABLE runs (
    run_id TEXT PRIMARY KEY,
    profile TEXT NOT NULL,
    device TEXT NOT NULL,
    lot TEXT,
    operator TEXT,
    mac TEXT,
    chip TEXT,
    verdict TEXT,              -- PASS, FAIL, ERROR, ABORTED; NULL after `provision`
    diagnosis TEXT,            -- the code
    started_at TEXT NOT NULL,  -- UTC, always with milliseconds: sorts as text
    duration_ms INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX runs_by_start ON runs (started_at);
CREATE INDEX runs_by_unit ON runs (mac, started_at);
CREATE INDEX runs_by_lot ON runs (lot, started_at);

-- Public identifiers of the unit.
CREATE TABLE unit_ids (
    run_id TEXT NOT NULL REFERENCES runs,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE checks (
    run_id TEXT NOT NULL REFERENCES runs,
    position INTEGER NOT NULL, -- from 0, in the profile's order
    name TEXT NOT NULL,
    outcome TEXT NOT NULL,     -- pass, fail, error, not_run
    diagnosis TEXT,
    PRIMARY KEY (run_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE measurements (
    run_id TEXT NOT NULL REFERENCES runs,
    check_position INTEGER NOT NULL,
    position INTEGER NOT NULL,
    check_name TEXT NOT NULL,
    name TEXT NOT NULL,
    number REAL,               -- NULL for a word, or when it was never set
    word TEXT,
    unit TEXT NOT NULL,
    lower REAL,
    upper REAL,
    outcome TEXT NOT NULL,
    PRIMARY KEY (run_id, check_position, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX measurements_by_name ON measurements (check_name, name);

-- Runs that the journal saw begin; those without a row in `runs` go on or were interrupted.
CREATE TABLE started (
    run_id TEXT PRIMARY KEY,
    profile TEXT NOT NULL,
    device TEXT NOT NULL,
    lot TEXT,
    operator TEXT,
    started_at TEXT NOT NULL
) STRICT;

-- How many bytes of the journal were taken in; one row.
CREATE TABLE journal_read (bytes INTEGER NOT NULL) STRICT;

-- Rows that a registry has not got yet, sealed with the station's key. A number is never used again, so
-- that a row that was replaced while it was on its way is not taken for the one that arrived.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    registry TEXT NOT NULL,
    profile TEXT NOT NULL,
    unit TEXT NOT NULL,
    queued_at TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    last_error TEXT,
    sealed BLOB NOT NULL,
    UNIQUE (registry, profile, unit)
) STRICT;

PRAGMA user_version = 1;
