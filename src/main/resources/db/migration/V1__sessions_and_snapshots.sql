-- Plain SQL for H2 and PostgreSQL; ${bytes} is the type of a chunk of bytes (BLOB, BYTEA).

CREATE TABLE sessions (
    id           VARCHAR(64) PRIMARY KEY,
    name         VARCHAR(200) NOT NULL,
    description  TEXT NOT NULL,             -- JSON, everything resolved
    program_hash VARCHAR(128) NOT NULL,
    created      TIMESTAMP WITH TIME ZONE NOT NULL
);

CREATE TABLE snapshots (
    id           VARCHAR(64) PRIMARY KEY,
    session_id   VARCHAR(64) NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    step         BIGINT NOT NULL,
    tensor_steps TEXT NOT NULL,             -- JSON array, by declared tensor
    program_hash VARCHAR(128) NOT NULL,
    manifest     TEXT NOT NULL,             -- the safetensors header of the data
    origin       VARCHAR(16) NOT NULL,      -- requested, automatic
    state        VARCHAR(16) NOT NULL,      -- writing, complete
    byte_count   BIGINT NOT NULL,
    digest       VARCHAR(128) NOT NULL,     -- empty until complete
    created      TIMESTAMP WITH TIME ZONE NOT NULL
);

CREATE INDEX snapshots_of_session ON snapshots (session_id, state, step);

-- The data of a snapshot in order. `encoding` says how `data` holds the chunk.
CREATE TABLE snapshot_chunks (
    snapshot_id  VARCHAR(64) NOT NULL REFERENCES snapshots (id) ON DELETE CASCADE,
    position     BIGINT NOT NULL,
    encoding     VARCHAR(16) NOT NULL,      -- raw
    byte_count   INTEGER NOT NULL,          -- once decoded
    data         ${bytes} NOT NULL,
    PRIMARY KEY (snapshot_id, position)
);
