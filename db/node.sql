-- node.db: what concerns this node alone. Never replicated.

-- 'node_id' (random, 32 hex digits), 'cluster_id' (empty until the node was
-- adopted), 'name', 'role' ('master' or 'slave'), 'promised' (the highest
-- epoch this node promised to follow; older ones are refused), 'boot' (the
-- kernel's boot id at the last start).
CREATE TABLE node(
  name  TEXT PRIMARY KEY,
  value NOT NULL
) WITHOUT ROWID;

-- What happened here, newest last; bounded (the oldest rows go).
CREATE TABLE event(
  id    INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,                -- Unix ms
  kind  TEXT    NOT NULL,                -- 'slave.down', 'node.ready' ...
  level TEXT    NOT NULL CHECK(level IN ('info', 'warn', 'alert')),
  text  TEXT    NOT NULL,                -- a sentence for people
  data  TEXT    NOT NULL DEFAULT '{}'    -- JSON: the figures of both sides
);
