-- Chunks are kept once, by content; a snapshot is a list of them. What was written before stays in `snapshot_chunks`, which is read
-- and removed, and no more written.

CREATE TABLE chunks (
    hash         VARCHAR(64) PRIMARY KEY,   -- SHA-256 of the bytes once decoded, in hexadecimal
    encoding     VARCHAR(16) NOT NULL,      -- raw, zstd
    byte_count   INTEGER NOT NULL,          -- once decoded
    stored_count INTEGER NOT NULL,          -- in `data`
    data         ${bytes} NOT NULL
);

CREATE TABLE chunk_uses (
    snapshot_id  VARCHAR(64) NOT NULL REFERENCES snapshots (id) ON DELETE CASCADE,
    position     BIGINT NOT NULL,
    hash         VARCHAR(64) NOT NULL,
    PRIMARY KEY (snapshot_id, position)
);

CREATE INDEX chunk_uses_of_chunk ON chunk_uses (hash);
ALTER TABLE chunk_uses ADD CONSTRAINT chunk_of_use FOREIGN KEY (hash) REFERENCES chunks (hash);

ALTER TABLE snapshots ADD COLUMN stored_count BIGINT DEFAULT 0 NOT NULL;    -- what it added to `chunks`
ALTER TABLE snapshots ADD COLUMN pinned BOOLEAN DEFAULT FALSE NOT NULL;
ALTER TABLE snapshots ADD COLUMN parent VARCHAR(64) DEFAULT '' NOT NULL;    -- whose state this one's descends from; it may be gone
ALTER TABLE snapshots ADD COLUMN parent_step BIGINT DEFAULT 0 NOT NULL;

UPDATE snapshots SET stored_count = byte_count, pinned = (origin = 'requested');
