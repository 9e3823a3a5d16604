package dev.stepd.store.journal;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import org.jspecify.annotations.Nullable;

/// The journal of one session being written, on one line: what one snapshot begins and steps go on from. Whatever changes the session but
/// steps begins another.
///
/// One thread appends. [#sync] is for any, and those who wait share what one synchronization brings. A journal that could not be
/// synchronized or mended is broken and takes nothing more.
public final class Journal implements AutoCloseable {
    /// By which segments of a young journal become larger.
    private static final int GROWTH = 4;

    private final Path folder;
    private final String session;
    private final String line;
    private final String program;
    private final Spares spares;
    private final long segmentBytes;
    private final Executor syncing;

    private final List<Segment> retired = new ArrayList<>();
    private List<CompletableFuture<Void>> waiting = new ArrayList<>();
    private boolean underWay;
    private @Nullable Segment current;
    private boolean closed;
    /// Of this journal, and of its last record.
    private long appended;
    private long lastBytes;
    private volatile @Nullable IOException broken;

    Journal(Path folder, String session, String line, String program, Spares spares, long segmentBytes, Executor syncing) {
        this.folder = folder;
        this.session = session;
        this.line = line;
        this.program = program;
        this.spares = spares;
        this.segmentBytes = segmentBytes;
        this.syncing = syncing;
    }

    public String line() {
        return line;
    }

    /// Whether nothing can be appended or kept any more.
    public boolean isBroken() {
        return broken != null;
    }

    /// Appends a record behind the others, or leaves everything as it was. It is durable with the next [#sync].
    ///
    /// @param payload in the order a reader finds it, end to end
    /// @return bytes appended
    /// @throws ServiceException `STORAGE_FULL`, `UNAVAILABLE`
    public long append(Entry entry, List<MemorySegment> payload) {
        requireWhole();
        long payloadBytes = payload.stream().mapToLong(MemorySegment::byteSize).sum();
        long bytes = RecordFormat.byteCount(entry, payloadBytes);
        try {
            var segment = segmentFor(entry.step(), bytes);
            segment.append(RecordFormat.frame(segment.seal(), entry, payload), payload);
        } catch (Segment.Torn e) {
            broken = e;
            throw refused(e);
        } catch (IOException e) {
            spares.clear(); // where there is no room, for the next attempt
            throw refused(e);
        }
        appended += bytes;
        lastBytes = bytes;
        return bytes;
    }

    /// Takes back the record appended last.
    public void withdraw() {
        try {
            if (current != null) {
                current.withdraw();
            }
        } catch (IOException e) {
            broken = e;
        }
    }

    /// Begins another segment, so that the ones before can be dropped once a snapshot covers them. Nothing happens where the present one has no record.
    ///
    /// @param firstStep the next step
    /// @throws ServiceException `STORAGE_FULL`, `UNAVAILABLE`
    public void rotate(long firstStep) {
        requireWhole();
        try {
            if (current == null || !current.isEmpty()) {
                begin(firstStep, lastBytes);
            }
        } catch (IOException e) {
            spares.clear();
            throw refused(e);
        }
    }

    /// Completes when what was appended before survives a crash; fails if that cannot be promised.
    public CompletableFuture<Void> sync() {
        var done = new CompletableFuture<Void>();
        synchronized (this) {
            waiting.add(done);
            if (underWay) {
                return done;
            }
            underWay = true;
        }
        syncing.execute(this::synchronize);
        return done;
    }

    /// Ends writing; what waits for a synchronization still gets it.
    @Override
    public void close() {
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
            retire();
        }
        sync();
    }

    void resume(Reading.Place last) throws IOException {
        current = Segment.resume(last, segmentBytes);
    }

    private Segment segmentFor(long step, long bytes) throws IOException {
        var open = current;
        return open != null && open.takes(bytes) ? open : begin(step, bytes);
    }

    /// @param bytes of the first record, as far as known
    private Segment begin(long firstStep, long bytes) throws IOException {
        if (!Files.isDirectory(folder)) {
            Files.createDirectories(folder);
            var root = folder.toAbsolutePath().getParent();
            Segment.syncFolder(root);
            Segment.syncFolder(root.getParent());
        }
        var next = open(SegmentFile.path(folder, line, firstStep), firstStep, bytes);
        synchronized (this) {
            retire();
            current = next;
        }
        return next;
    }

    private Segment open(Path file, long firstStep, long bytes) throws IOException {
        var header = RecordFormat.header(session, line, program, firstStep);
        long room = room(header.remaining() + bytes, appended + bytes);
        var beginning = new Segment.Beginning(file, header, RecordFormat.seal(session, line, firstStep), room);
        var spare = spares.take(room);
        spares.makeAhead(room(header.remaining() + bytes, appended + room));
        return spare.isPresent() ? Segment.over(spare.get(), beginning) : Segment.create(beginning);
    }

    /// Segments grow with their journal: a session that steps rarely takes little room.
    private long room(long least, long before) {
        return spares.room(Math.max(least, Math.min(segmentBytes, GROWTH * before)));
    }

    private void retire() {
        if (current != null) {
            retired.add(current);
            current = null;
        }
    }

    /// As long as somebody waits.
    private void synchronize() {
        while (true) {
            List<CompletableFuture<Void>> batch;
            List<Segment> ended;
            Segment open;
            synchronized (this) {
                if (waiting.isEmpty()) {
                    underWay = false;
                    return;
                }
                batch = waiting;
                waiting = new ArrayList<>();
                ended = List.copyOf(retired);
                retired.clear();
                open = current;
            }
            force(ended, open);
            var failure = broken;
            for (var done : batch) {
                if (failure == null) {
                    done.complete(null);
                } else {
                    done.completeExceptionally(refused(failure));
                }
            }
        }
    }

    /// The ended ones first: a record is durable only if those before it are.
    private void force(List<Segment> ended, @Nullable Segment open) {
        try {
            for (var segment : ended) {
                segment.force();
                segment.close();
            }
            if (open != null) {
                open.force();
            }
        } catch (IOException e) {
            broken = e; // what the system had not written it may have forgotten: another attempt could succeed with a hole
        }
    }

    private void requireWhole() {
        var failure = broken;
        if (failure != null) {
            throw refused(failure);
        }
    }

    private ServiceException refused(IOException e) {
        boolean full = String.valueOf(e.getMessage()).toLowerCase(Locale.ROOT).matches(".*(no space left|quota exceeded).*");
        return new ServiceException(full ? ErrorCode.STORAGE_FULL : ErrorCode.UNAVAILABLE,
                "the journal of session " + session + " cannot be written: " + e.getMessage(), e);
    }
}
