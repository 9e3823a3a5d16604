package dev.stepd.store.journal;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/// The journals of all sessions, a folder for each. Safe for concurrent use, one session's calls one at a time.
///
/// Methods throw [ServiceException] `STORAGE_FULL` or `UNAVAILABLE` when the file system cannot do its work now.
public final class Journals implements AutoCloseable {
    /// Sessions that synchronize at the same time, so that the file system may do several at once.
    private static final int SYNCING_THREADS = 8;

    private final Path root;
    private final long segmentBytes;
    private final Spares spares;
    private final ThreadPoolExecutor syncing;

    /// @param root made with the first journal
    /// @param segmentBytes at which a new file is begun
    public Journals(Path root, long segmentBytes) {
        this.root = root;
        this.segmentBytes = segmentBytes;
        spares = new Spares(root.resolve("spare"), segmentBytes);
        syncing = new ThreadPoolExecutor(SYNCING_THREADS, SYNCING_THREADS, 1, TimeUnit.MINUTES, new LinkedBlockingQueue<>(),
                Thread.ofPlatform().daemon().name("stepd-sync-", 1).factory(), new ThreadPoolExecutor.CallerRunsPolicy());
        syncing.allowCoreThreadTimeOut(true);
    }

    /// Begins a line of a session.
    ///
    /// @param program what its steps are made by
    public Journal begin(String session, String line, String program) {
        return new Journal(root.resolve(session), session, line, program, spares, segmentBytes, syncing);
    }

    /// Reads what is kept behind a snapshot; its payloads live as long as the arena.
    public Reading read(String session, String line, long afterStep, Arena arena) {
        var folder = root.resolve(session);
        try {
            var files = SegmentFile.in(folder).stream().filter(file -> file.line().equals(line)).toList();
            return new Scan(session, line, afterStep, arena).of(files, SegmentFile.damagedAfter(folder));
        } catch (IOException e) {
            throw unavailable("reading", session, e);
        }
    }

    /// Goes on where a reading ended or before; what lies behind that place is removed.
    public Journal resume(String session, String line, String program, Reading.Place place) {
        var folder = root.resolve(session);
        try {
            var files = SegmentFile.in(folder).stream().filter(file -> file.line().equals(line)).map(SegmentFile::path).toList();
            for (var later : files.subList(files.indexOf(place.file()) + 1, files.size())) {
                Files.delete(later);
            }
            var journal = begin(session, line, program);
            journal.resume(place);
            return journal;
        } catch (IOException e) {
            throw unavailable("opening", session, e);
        }
    }

    /// Removes what a durable snapshot covers: the segments before its step, and every other line.
    public void drop(String session, String line, long coveredStep) {
        try {
            for (var file : SegmentFile.in(root.resolve(session))) {
                boolean superseded = !file.line().equals(line) || file.firstStep() <= coveredStep;
                if (superseded && !spares.keep(file.path())) {
                    Files.deleteIfExists(file.path());
                }
            }
        } catch (IOException e) {
            throw unavailable("clearing", session, e);
        }
    }

    /// Takes every other line out of the way without losing it.
    public void putAside(String session, String line, long goodStep) {
        try {
            for (var file : SegmentFile.in(root.resolve(session))) {
                if (!file.line().equals(line)) {
                    file.putAside(goodStep);
                }
            }
        } catch (IOException e) {
            throw unavailable("putting aside", session, e);
        }
    }

    /// Removes everything of a session; an unknown one is no error.
    public void delete(String session) {
        var folder = root.resolve(session);
        try {
            if (Files.isDirectory(folder)) {
                List<Path> files;
                try (var listed = Files.list(folder)) {
                    files = listed.toList();
                }
                for (var file : files) {
                    Files.deleteIfExists(file);
                }
                Files.deleteIfExists(folder);
            }
        } catch (IOException e) {
            throw unavailable("deleting", session, e);
        }
    }

    @Override
    public void close() {
        spares.close();
        syncing.shutdown();
        try {
            syncing.awaitTermination(1, TimeUnit.MINUTES);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static ServiceException unavailable(String doing, String session, IOException e) {
        return new ServiceException(ErrorCode.UNAVAILABLE, doing + " the journal of session " + session + ": " + e, e);
    }
}
