package dev.stepd.tensor;

/// What tells one body from another: its length and the CRC-32C of all its bytes. Meant for a client that repeats
/// itself, not against one that looks for collisions.
public record Fingerprint(long byteCount, long crc) {}
