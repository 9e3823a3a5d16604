package dev.stepd.session;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// Files that hold bytes for a while in the place of main memory. Safe for concurrent use.
///
/// A file loses its name before anything is in it, so it goes with its lease or with the process, however that ends. All of it
/// is written before it is mapped: what the file system has no room for is refused here, and is no fault of memory later.
final class Spool {
    private static final long SLICE_BYTES = 1 << 30;

    private final @Nullable Path folder;

    /// @param folder made when first needed; null where nothing may be put
    Spool(@Nullable Path folder) {
        this.folder = folder;
    }

    /// Puts bytes into a file of their own.
    ///
    /// @param source hands over so many bytes in order, in pieces
    /// @return the bytes, only to be read
    /// @throws NoRoom when there is no folder, or not twice the room: what is put here is mostly about to be stored on the same disk
    Lease put(long bytes, String purpose, Consumer<Consumer<MemorySegment>> source) throws NoRoom {
        if (folder == null) {
            throw new NoRoom("no folder may be used instead", null);
        }
        try {
            Files.createDirectories(folder);
            long room = Files.getFileStore(folder).getUsableSpace();
            if (room / 2 < bytes) {
                throw new NoRoom("it needs " + 2 * bytes + " bytes of disk, " + room + " are free", null);
            }
            var file = Files.createTempFile(folder, "spool", "");
            try {
                return write(file, bytes, purpose, source);
            } finally {
                Files.deleteIfExists(file); // where it could not even be opened
            }
        } catch (IOException e) {
            throw new NoRoom("no file can be used instead: " + e, e);
        }
    }

    private static Lease write(Path file, long bytes, String purpose, Consumer<Consumer<MemorySegment>> source) throws IOException {
        try (var channel = FileChannel.open(file,
                StandardOpenOption.READ, StandardOpenOption.WRITE, StandardOpenOption.DELETE_ON_CLOSE)) {
            var writing = new Writing(channel);
            try {
                source.accept(writing);
            } catch (Writing.Failed e) {
                throw e.failure;
            }
            if (channel.position() != bytes) {
                throw new IllegalStateException(purpose + " has " + channel.position() + " bytes, " + bytes + " were announced");
            }
            return map(channel, bytes);
        }
    }

    private static Lease map(FileChannel channel, long bytes) throws IOException {
        var arena = Arena.ofShared();
        try {
            return new Lease(channel.map(MapMode.READ_WRITE, 0, bytes, arena), arena::close);
        } catch (IOException | RuntimeException e) {
            arena.close();
            throw e;
        }
    }

    /// Nothing can be put into a file now; the message says why.
    static final class NoRoom extends Exception {
        NoRoom(String message, @Nullable IOException cause) {
            super(message, cause);
        }
    }

    private record Writing(FileChannel channel) implements Consumer<MemorySegment> {
        @Override
        public void accept(MemorySegment bytes) {
            try {
                for (long at = 0; at < bytes.byteSize(); at += SLICE_BYTES) {
                    var slice = bytes.asSlice(at, Math.min(SLICE_BYTES, bytes.byteSize() - at)).asByteBuffer();
                    while (slice.hasRemaining()) {
                        channel.write(slice);
                    }
                }
            } catch (IOException e) {
                throw new Failed(e);
            }
        }

        /// Passes a failure through the source.
        private static final class Failed extends RuntimeException {
            private final transient IOException failure;

            Failed(IOException failure) {
                super(failure);
                this.failure = failure;
            }
        }
    }
}
