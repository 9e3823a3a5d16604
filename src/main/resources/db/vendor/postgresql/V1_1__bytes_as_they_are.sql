-- State does not shrink by PostgreSQL's own compression, which would only cost time.
ALTER TABLE snapshot_chunks ALTER COLUMN data SET STORAGE EXTERNAL;
