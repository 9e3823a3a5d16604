package dev.stepd.device;

/// A budget of main memory. Safe for concurrent use.
public interface HostMemory extends Memory {
    @Override
    HostRegion allocate(long bytes, String purpose);
}
