package dev.stepd.device.cuda;

import dev.stepd.device.Body;
import dev.stepd.device.Region;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/// A body's image on the device, fetched piece by piece: ahead of the steps what is told to have arrived, and the rest when a plan
/// needs it.
final class CudaBody implements Body {
    /// Fetching ahead is worth a call to the driver from so many bytes on.
    private static final long AHEAD_BYTES_MIN = 1 << 20;

    private final CudaDevice device;
    private final Region region;
    private final long address;
    private MemorySegment host = MemorySegment.NULL;
    /// Everything before this is on its way.
    private long ahead;
    /// Stretches that plans fetched: from, to, from, to, ...
    private long[] stretches = new long[8];
    private int stretchEnds;
    private @Nullable Streams streams;
    private long knownAddress;
    private int knownAsOf;
    private boolean knownPinned;

    CudaBody(CudaDevice device, Region region) {
        this.device = device;
        this.region = region;
        this.address = ((CudaArray) region.array()).address();
    }

    @Override
    public void hold(MemorySegment host) {
        settle();
        this.host = host;
        ahead = 0;
        stretchEnds = 0;
    }

    @Override
    public void arrived(long end) {
        if (end - ahead >= AHEAD_BYTES_MIN && device.isHealthy()) {
            try {
                copyIn(ahead, end);
                ahead = end;
            } catch (CudaError e) {
                device.failed(e); // the step that comes will say so, or copy again
            }
        }
    }

    /// What is under way is done before the memory it reads may change. What came of it is forgotten, and a failure with it.
    private void settle() {
        var taken = streams;
        streams = null;
        if (taken == null) {
            return;
        }
        try {
            if (device.isHealthy()) { // else nothing is under way any more
                taken.await();
                device.giveBack(taken);
                return;
            }
        } catch (CudaError e) {
            device.failed(e);
        }
        taken.close();
    }

    /// The streams of the step under way.
    Streams streams() {
        var taken = streams;
        if (taken == null) {
            taken = device.takeStreams();
            streams = taken;
        }
        return taken;
    }

    /// Everything that was asked for is done.
    void release() {
        if (streams != null) {
            device.giveBack(streams);
            streams = null;
        }
    }

    /// The device's address of the image.
    long address() {
        return address;
    }

    long hostAddress() {
        return host.address();
    }

    /// Whether kernels can address what is held.
    boolean isPinned() {
        int asOf = device.pinned().unpinned();
        if (host.address() != knownAddress || asOf != knownAsOf) { // few bodies come again and again, and to look is to allocate
            knownPinned = device.pinned().contains(host);
            knownAddress = host.address();
            knownAsOf = asOf;
        }
        return knownPinned;
    }

    void requireHeld(long bytes) {
        if (host.byteSize() < bytes || !host.isNative()) {
            throw new IllegalStateException("the body needs " + bytes + " bytes outside the heap: " + host);
        }
    }

    /// Copies what is not on its way yet.
    void fetch(long from, long to) {
        long start = Math.max(from, Math.min(ahead, to));
        if (start < to && !isFetched(start, to)) {
            copyIn(start, to);
            if (stretchEnds == stretches.length) {
                stretches = Arrays.copyOf(stretches, 2 * stretches.length);
            }
            stretches[stretchEnds++] = start;
            stretches[stretchEnds++] = to;
        }
    }

    private boolean isFetched(long from, long to) {
        for (int i = 0; i < stretchEnds; i += 2) {
            if (stretches[i] <= from && to <= stretches[i + 1]) {
                return true;
            }
        }
        return false;
    }

    private void copyIn(long from, long to) {
        streams().in().copyIn(address + from, host.address() + from, to - from);
    }

    @Override
    public void close() {
        settle();
        region.close();
    }
}
