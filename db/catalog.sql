-- The system database _ddb: what all nodes must agree on. It has a journal
-- like any other database (journal.sql) and is replicated the same way; its
-- tables are the only 'user' tables of that file and change by operations.

CREATE TABLE databases(
  name       TEXT PRIMARY KEY,           -- also the file's name: db/NAME.db
  id         TEXT NOT NULL UNIQUE,       -- random, 32 hex digits
  created_ms INTEGER NOT NULL            -- Unix ms
) STRICT;

CREATE TABLE nodes(
  name      TEXT PRIMARY KEY,
  url       TEXT NOT NULL,               -- http://host:port of the node's public listener
  peer_url  TEXT NOT NULL,               -- http://host:port of its peers' listener
  paused    INTEGER NOT NULL DEFAULT 0 CHECK(paused IN (0, 1)),  -- 1: nothing is sent to it
  added_ms  INTEGER NOT NULL             -- Unix ms
) STRICT;

-- Each reign of a master; the row of the highest number names the master.
CREATE TABLE epochs(
  epoch    INTEGER PRIMARY KEY,
  node     TEXT NOT NULL,                -- name of the master
  node_id  TEXT NOT NULL,                -- its node id: same number, other node = both stop
  began_ms INTEGER NOT NULL              -- Unix ms
) STRICT;
