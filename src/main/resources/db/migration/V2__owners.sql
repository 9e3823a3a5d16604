-- Servers that share a database, and whose each session is. A write counts only while `owner` and `epoch` are the writer's.

CREATE TABLE owners (
    id          VARCHAR(200) PRIMARY KEY,   -- one for each start of a server
    started     TIMESTAMP WITH TIME ZONE NOT NULL,
    lease_until TIMESTAMP WITH TIME ZONE NOT NULL   -- by the database's clock; once it has passed, sessions may be claimed
);

ALTER TABLE sessions ADD COLUMN owner VARCHAR(200) DEFAULT '' NOT NULL;
ALTER TABLE sessions ADD COLUMN epoch BIGINT DEFAULT 0 NOT NULL;   -- counts the owners

CREATE INDEX sessions_of_owner ON sessions (owner);
CREATE INDEX snapshots_by_state ON snapshots (state);
