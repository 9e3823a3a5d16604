package dev.stepd.device.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jcuda.Pointer;

/// What launches pass to a kernel that takes one structure by value: `__global__ void f(const __grid_constant__ Plan plan)`.
/// Written in place, then launched with as often as wanted: a launch copies it.
final class Arguments {
    /// What every device takes.
    static final long BYTES_MAX = 4096;

    private final MemorySegment segment;
    private final Pointer pointer = new Pointer();

    /// @param bytes of the structure
    Arguments(long bytes) {
        if (bytes < 1 || bytes > BYTES_MAX) {
            throw new IllegalStateException("a kernel's argument has 1 to " + BYTES_MAX + " bytes, not " + bytes);
        }
        var arena = Arena.ofAuto(); // gone with this: to close an arena of all threads is to stop them all
        segment = arena.allocate(bytes, 16);
        var pointers = arena.allocate(ValueLayout.ADDRESS);
        pointers.set(ValueLayout.ADDRESS, 0, segment);
        Cuda.point(pointer, pointers.address());
    }

    /// The structure, zero at first.
    MemorySegment segment() {
        return segment;
    }

    /// The list of pointers to arguments that the driver wants: of one.
    Pointer pointer() {
        return pointer;
    }
}
