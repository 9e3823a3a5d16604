package dev.stepd.device.cpu;

import dev.stepd.device.Body;
import java.lang.foreign.MemorySegment;

/// Bodies for the processor, which works on them where they lie.
final class CpuBody implements Body {
    private MemorySegment held = MemorySegment.NULL;

    MemorySegment held() {
        return held;
    }

    @Override
    public void hold(MemorySegment host) {
        held = host;
    }

    @Override
    public void arrived(long end) {
        // nothing has to be fetched
    }

    @Override
    public void close() {
        held = MemorySegment.NULL;
    }
}
