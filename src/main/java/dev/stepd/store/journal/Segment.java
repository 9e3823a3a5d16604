package dev.stepd.store.journal;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// A segment file open for appending. One thread appends; [#force] may run beside it.
final class Segment {
    /// The most buffers that one call of the system takes.
    private static final int GATHER_MAX = 512;

    private static final int HEAD_BYTES = 8;
    /// What the disk is to begin on at once: it is longer at that than the call takes.
    private static final long WRITE_OUT_BYTES_MIN = 256 << 10;

    private final FileChannel channel;
    private final Path file;
    private final String seal;
    /// Behind which no further record begins.
    private final long limit;
    /// Bytes from the file's begin whose blocks stay when records are taken back.
    private final long room;
    private long end;
    private long lastBegin;
    /// Where records begin, if the file was begun here.
    private final long start;
    private @Nullable WriteOut writeOut;
    private volatile boolean folderSynced;

    private Segment(FileChannel channel, Beginning its, long end, long start, long room) {
        this.channel = channel;
        this.file = its.file;
        this.seal = its.seal;
        this.limit = its.limit;
        this.room = room;
        this.end = end;
        this.lastBegin = end;
        this.start = start;
    }

    /// What a segment begins with.
    ///
    /// @param seal what its records are proved with
    /// @param limit where the next segment begins, so far as one record is not more
    record Beginning(Path file, ByteBuffer header, String seal, long limit) {}

    /// Begins a file; one of its name that never came to hold a record is overwritten.
    static Segment create(Beginning its) throws IOException {
        var channel = FileChannel.open(its.file, StandardOpenOption.CREATE, StandardOpenOption.TRUNCATE_EXISTING, StandardOpenOption.WRITE);
        try {
            return begun(channel, its, 0);
        } catch (IOException e) {
            channel.close();
            throw e;
        }
    }

    /// Begins a file in the place of another, over whose blocks it is written. What that held is no record of this one.
    static Segment over(Path spare, Beginning its) throws IOException {
        var channel = FileChannel.open(spare, StandardOpenOption.WRITE);
        try {
            var segment = begun(channel, its, channel.size());
            channel.force(false); // before the name: a segment's header is whole
            Files.move(spare, its.file, StandardCopyOption.ATOMIC_MOVE);
            return segment;
        } catch (IOException e) {
            channel.close();
            Files.deleteIfExists(spare);
            throw e;
        }
    }

    private static Segment begun(FileChannel channel, Beginning its, long room) throws IOException {
        int bytes = its.header.remaining();
        while (its.header.hasRemaining()) {
            channel.write(its.header);
        }
        return new Segment(channel, its, bytes, bytes, room);
    }

    /// Goes on behind the last valid record; what lies there is cut off.
    static Segment resume(Reading.Place place, long limit) throws IOException {
        var channel = FileChannel.open(place.file(), StandardOpenOption.WRITE);
        try {
            channel.truncate(place.offset());
            channel.position(place.offset());
            var its = new Beginning(place.file(), ByteBuffer.allocate(0), place.seal(), limit);
            return new Segment(channel, its, place.offset(), 0, 0);
        } catch (IOException e) {
            channel.close();
            throw e;
        }
    }

    String seal() {
        return seal;
    }

    /// Whether a record of that size goes here. The first one always does.
    boolean takes(long bytes) {
        return isEmpty() || end + bytes <= limit;
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
        if (bytes >= WRITE_OUT_BYTES_MIN) {
            writeOut().begin(end, bytes);
        }
        lastBegin = end;
        end += bytes;
    }

    private WriteOut writeOut() {
        if (writeOut == null) {
            writeOut = new WriteOut(file);
        }
        return writeOut;
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
            if (channel.size() > room) {
                channel.truncate(Math.max(to, room));
            }
            if (to + HEAD_BYTES <= room) { // no record begins with zeros
                channel.write(ByteBuffer.allocate(HEAD_BYTES), to);
            }
            channel.position(to);
        } catch (IOException e) {
            throw new Torn(because == null ? e : because);
        }
    }

    /// Makes what was appended so far, and the file itself, survive a crash of the machine.
    void force() throws IOException {
        channel.force(false);
        if (!folderSynced) {
            syncFolder(file.getParent());
            folderSynced = true;
        }
    }

    static void syncFolder(Path folder) throws IOException {
        try (var open = FileChannel.open(folder, StandardOpenOption.READ)) {
            open.force(true);
        }
    }

    void close() throws IOException {
        if (writeOut != null) {
            writeOut.close();
        }
        channel.close();
    }

    /// The file ends in half a record and cannot be mended.
    static final class Torn extends IOException {
        Torn(IOException cause) {
            super(cause.getMessage(), cause);
        }
    }
}
