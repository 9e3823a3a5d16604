package dev.stepd.device.cpu;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/// Zeroed memory from the operating system. On Linux it is mapped, so that a large region costs nothing before it is
/// touched and is back with the system, unreadable, the moment it is closed; huge pages are asked for, since passes stream
/// through all of it. Elsewhere the runtime allocates.
final class Pages implements AutoCloseable {
    /// Readable bytes past the end: kernels load whole vectors there.
    static final long SLACK_BYTES = 128;

    private static final long HUGE_PAGE_BYTES = 2 << 20;
    private static final boolean LINUX = System.getProperty("os.name").equals("Linux");
    private static final int PROT_READ_WRITE = 3;
    private static final int MAP_PRIVATE_ANONYMOUS = 0x22;
    private static final int MADV_HUGEPAGE = 14;

    private final MemorySegment segment;
    private final Arena arena;

    private Pages(MemorySegment segment, Arena arena) {
        this.segment = segment;
        this.arena = arena;
    }

    /// @throws OutOfMemoryError when the system has none
    static Pages map(long bytes) {
        var arena = Arena.ofShared();
        if (!LINUX) {
            return new Pages(arena.allocate(bytes, 64), arena);
        }
        try {
            var mapped = (MemorySegment) Posix.MMAP.invokeExact(
                    MemorySegment.NULL, bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0L);
            if (mapped.address() == -1) {
                throw new OutOfMemoryError("mmap of " + bytes + " bytes failed");
            }
            if (bytes >= 2 * HUGE_PAGE_BYTES) {
                int _ = (int) Posix.MADVISE.invokeExact(mapped, bytes, MADV_HUGEPAGE);
            }
            return new Pages(mapped.reinterpret(bytes, arena, Pages::unmap), arena);
        } catch (OutOfMemoryError e) {
            arena.close();
            throw e;
        } catch (Throwable e) {
            arena.close();
            throw new IllegalStateException("mmap of " + bytes + " bytes", e);
        }
    }

    private static void unmap(MemorySegment segment) {
        try {
            int _ = (int) Posix.MUNMAP.invokeExact(segment, segment.byteSize());
        } catch (Throwable e) {
            throw new IllegalStateException("munmap of " + segment.byteSize() + " bytes", e);
        }
    }

    MemorySegment segment() {
        return segment;
    }

    @Override
    public void close() {
        if (!LINUX) {
            segment.fill((byte) 0);
        }
        arena.close();
    }

    /// The three calls, bound when first needed.
    private static final class Posix {
        private static final ValueLayout LONG = ValueLayout.JAVA_LONG;
        private static final ValueLayout INT = ValueLayout.JAVA_INT;
        private static final ValueLayout POINTER = ValueLayout.ADDRESS;

        static final MethodHandle MMAP =
                bind("mmap", FunctionDescriptor.of(POINTER, POINTER, LONG, INT, INT, INT, LONG));
        static final MethodHandle MADVISE = bind("madvise", FunctionDescriptor.of(INT, POINTER, LONG, INT));
        static final MethodHandle MUNMAP = bind("munmap", FunctionDescriptor.of(INT, POINTER, LONG));

        private static MethodHandle bind(String name, FunctionDescriptor type) {
            var linker = Linker.nativeLinker();
            return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), type);
        }
    }
}
