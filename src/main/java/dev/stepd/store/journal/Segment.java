package dev.stepd.store.journal;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// A segment file open for appending. One thread appends; [#force] may run beside it.
final class Segment {
    /// The most buffers that one call of the system takes.
    private static final int GATHER_MAX = 512;

    private final FileChannel channel;
    private final Path folder;
    private long end;
    private long lastBegin;
    /// Where records begin, if the file was begun here.
    private final long start;
    private volatile boolean folderSynced;

    private Segment(FileChannel channel, Path folder, long end, long start) {
        this.channel = channel;
        this.folder = folder;
        this.end = end;
        this.lastBegin = end;
        this.start = start;
    }

    /// Begins a file; one of its name that never came to hold a record is overwritten.
    static Segment create(Path file, ByteBuffer header) throws IOException {
        var channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.TRUNCATE_EXISTING, StandardOpenOption.WRITE);
        try {
            int bytes = header.remaining();
            while (header.hasRemaining()) {
                channel.write(header);
            }
            return new Segment(channel, file.getParent(), bytes, bytes);
        } catch (IOException e) {
            channel.close();
            throw e;
        }
    }

    /// Goes on behind the last valid record; what lies there is cut off.
    static Segment resume(Path file, long end) throws IOException {
        var channel = FileChannel.open(file, StandardOpenOption.WRITE);
        try {
            channel.truncate(end);
            channel.position(end);
            return new Segment(channel, file.getParent(), end, 0);
        } catch (IOException e) {
            channel.close();
            throw e;
        }
    }

    long end() {
        return end;
    }

    /// Whether no record is in the file.
    boolean isEmpty() {
        return end == start;
    }

    /// Appends a record, or leaves the file as it was.
    ///
    /// @throws Torn when the file could not even be cut back: nothing may be appended behind that
    void append(RecordFormat.Framing framing, List<MemorySegment> payload) throws IOException {
        var buffers = new ArrayList<ByteBuffer>(payload.size() + 2);
        buffers.add(framing.head());
        payload.forEach(part -> RecordFormat.eachSlice(part, buffers::add));
        buffers.add(framing.tail());
        long bytes = buffers.stream().mapToLong(ByteBuffer::remaining).sum();
        try {
            write(buffers.toArray(ByteBuffer[]::new));
        } catch (IOException e) {
            cutBack(end, e);
            throw e;
        }
        lastBegin = end;
        end += bytes;
    }

    private void write(ByteBuffer[] buffers) throws IOException {
        for (int first = 0; first < buffers.length; ) {
            channel.write(buffers, first, Math.min(GATHER_MAX, buffers.length - first));
            while (first < buffers.length && !buffers[first].hasRemaining()) {
                first++;
            }
        }
    }

    /// Takes the last record back.
    void withdraw() throws IOException {
        end = lastBegin;
        cutBack(end, null);
    }

    private void cutBack(long to, @Nullable IOException because) throws Torn {
        try {
            channel.truncate(to);
            channel.position(to);
        } catch (IOException e) {
            throw new Torn(because == null ? e : because);
        }
    }

    /// Makes what was appended so far, and the file itself, survive a crash of the machine.
    void force() throws IOException {
        channel.force(false);
        if (!folderSynced) {
            syncFolder(folder);
            folderSynced = true;
        }
    }

    static void syncFolder(Path folder) throws IOException {
        try (var open = FileChannel.open(folder, StandardOpenOption.READ)) {
            open.force(true);
        }
    }

    void close() throws IOException {
        channel.close();
    }

    /// The file ends in half a record and cannot be mended.
    static final class Torn extends IOException {
        Torn(IOException cause) {
            super(cause.getMessage(), cause);
        }
    }
}
