-- The last run that changed each unit, and whether the unit is as that run was to leave it.
CREATE TABLE changes (
    mac TEXT PRIMARY KEY,
    run_id TEXT NOT NULL,
    profile TEXT NOT NULL,
    stage TEXT NOT NULL,       -- how far it came
    noted_at TEXT NOT NULL,    -- UTC, always with milliseconds: sorts as text
    settled INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Which line of the journal queued the row.
ALTER TABLE outbox ADD COLUMN ticket TEXT;

PRAGMA user_version = 2;
