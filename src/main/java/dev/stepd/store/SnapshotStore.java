package dev.stepd.store;

/// Where sessions and their snapshots are kept. (Contract to be written by its builder.)
public interface SnapshotStore extends AutoCloseable {}
