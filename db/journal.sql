-- What DDB keeps beside the user's tables in each database file.
-- A copy of the file is thereby a complete, self-describing replica.

-- One row an operation: the change and its row are one commit. Rows not yet
-- confirmed by a slave are that slave's pending queue.
-- The last row is the position of the file; pruning never removes it.
CREATE TABLE ddb_journal(
  seq     INTEGER PRIMARY KEY,           -- 1, 2, 3 ... without gaps
  epoch   INTEGER NOT NULL,              -- number of the master's reign that wrote it
  at_ms   INTEGER NOT NULL,              -- Unix ms: what 'now' meant; never goes back
  seed    INTEGER NOT NULL,              -- of random() and randomblob()
  kind    TEXT    NOT NULL,              -- 'op', or a control row: 'create', 'epoch', 'check'
  body    TEXT    NOT NULL,              -- JSON: the statements with their parameters
  changes INTEGER NOT NULL,              -- rows changed, as the master counted
  hash    BLOB    NOT NULL CHECK(length(hash) = 16)  -- chained hash up to and with this row
);

-- Answers to writes that came with an Idempotency-Key, in the same commit as
-- the write; kept 24 h whatever is pruned from the journal.
CREATE TABLE ddb_key(
  scope          TEXT    NOT NULL,       -- the access token's id, '' without tokens
  key            TEXT    NOT NULL,
  request_digest BLOB    NOT NULL,       -- a different request under the same key is refused
  seq            INTEGER NOT NULL,
  answer         TEXT    NOT NULL,       -- JSON: what was answered first
  at_ms          INTEGER NOT NULL,       -- Unix ms
  PRIMARY KEY(scope, key)
) WITHOUT ROWID;

-- What the file is: 'format' (version of this schema and of the hash),
-- 'database' (its random id), 'name' (as created).
CREATE TABLE ddb_meta(
  name  TEXT PRIMARY KEY,
  value NOT NULL
) WITHOUT ROWID;
