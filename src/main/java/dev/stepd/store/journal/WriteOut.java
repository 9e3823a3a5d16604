package dev.stepd.store.journal;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;

/// Has the disk begin on what was written to a file while something else is done, so that synchronizing it waits for less. A hint: it
/// promises nothing, and where the system has no such call nothing happens.
final class WriteOut implements AutoCloseable {
    private static final boolean LINUX = System.getProperty("os.name").equals("Linux");
    private static final int NONE = -1;
    private static final int READ_WRITE = 2;
    private static final int BEGIN_WRITING = 2; // SYNC_FILE_RANGE_WRITE

    private int descriptor;

    WriteOut(Path file) {
        this.descriptor = LINUX ? open(file) : NONE;
    }

    private static int open(Path file) {
        try (var arena = Arena.ofConfined()) {
            return (int) Posix.OPEN.invokeExact(arena.allocateFrom(file.toString()), READ_WRITE);
        } catch (Throwable e) {
            throw new IllegalStateException("open " + file, e);
        }
    }

    /// Begins on a stretch of the file.
    void begin(long from, long bytes) {
        if (descriptor != NONE) {
            try {
                int _ = (int) Posix.SYNC_FILE_RANGE.invokeExact(descriptor, from, bytes, BEGIN_WRITING);
            } catch (Throwable e) {
                throw new IllegalStateException("sync_file_range", e);
            }
        }
    }

    @Override
    public void close() {
        if (descriptor != NONE) {
            try {
                int _ = (int) Posix.CLOSE.invokeExact(descriptor);
                descriptor = NONE;
            } catch (Throwable e) {
                throw new IllegalStateException("close", e);
            }
        }
    }

    /// The three calls, bound when first needed.
    private static final class Posix {
        private static final ValueLayout INT = ValueLayout.JAVA_INT;
        private static final ValueLayout LONG = ValueLayout.JAVA_LONG;

        static final MethodHandle OPEN = bind("open", FunctionDescriptor.of(INT, ValueLayout.ADDRESS, INT));
        static final MethodHandle SYNC_FILE_RANGE = bind("sync_file_range", FunctionDescriptor.of(INT, INT, LONG, LONG, INT));
        static final MethodHandle CLOSE = bind("close", FunctionDescriptor.of(INT, INT));

        private static MethodHandle bind(String name, FunctionDescriptor type) {
            var linker = Linker.nativeLinker();
            return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), type);
        }
    }
}
