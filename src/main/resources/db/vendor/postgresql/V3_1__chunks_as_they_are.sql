-- What gains by compression is compressed before it comes.
ALTER TABLE chunks ALTER COLUMN data SET STORAGE EXTERNAL;
