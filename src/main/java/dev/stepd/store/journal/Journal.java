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
    private final Path folder;
    private final String session;
    private final String line;
    private final String program;
    private final long segmentBytes;
    private final Executor syncing;

    private final List<Segment> retired = new ArrayList<>();
    private List<CompletableFuture<Void>> waiting = new ArrayList<>();
    private boolean underWay;
    private @Nullable Segment current;
    private boolean closed;
    private volatile @Nullable IOException broken;

    Journal(Path folder, String session, String line, String program, long segmentBytes, Executor syncing) {
        this.folder = folder;
        this.session = session;
        this.line = line;
        this.program = program;
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
        var framing = RecordFormat.frame(line, entry, payload);
        long bytes = framing.byteCount(payload.stream().mapToLong(MemorySegment::byteSize).sum());
        try {
            segmentFor(entry, bytes).append(framing, payload);
            return bytes;
        } catch (Segment.Torn e) {
            broken = e;
            throw refused(e);
        } catch (IOException e) {
            throw refused(e);
        }
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
                begin(firstStep);
            }
        } catch (IOException e) {
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
        current = Segment.resume(last.file(), last.offset());
    }

    private Segment segmentFor(Entry entry, long bytes) throws IOException {
        var open = current;
        if (open == null || !open.isEmpty() && open.end() + bytes > segmentBytes) {
            return begin(entry.step());
        }
        return open;
    }

    private Segment begin(long firstStep) throws IOException {
        if (!Files.isDirectory(folder)) {
            Files.createDirectories(folder);
            var root = folder.toAbsolutePath().getParent();
            Segment.syncFolder(root);
            Segment.syncFolder(root.getParent());
        }
        var next = Segment.create(SegmentFile.path(folder, line, firstStep), RecordFormat.header(session, line, program, firstStep));
        synchronized (this) {
            retire();
            current = next;
        }
        return next;
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
