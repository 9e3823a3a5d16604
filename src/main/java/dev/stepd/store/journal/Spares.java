package dev.stepd.store.journal;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// Files whose blocks are on the disk already, for segments to come. Synchronizing what was written over such blocks is one write; new
/// blocks cost the file system a transaction of its own, which takes several times as long.
///
/// They are segments that a snapshot has covered, and where there are none, files of zeros made ahead in the background. Shared by all
/// sessions; safe for concurrent use. Nothing here is needed: where the disk has little room, there are none.
final class Spares implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(Spares.class);
    private static final long SMALLEST = 256 << 10;
    private static final int GROWTH = 4;
    /// Of all of them.
    private static final long BYTES_MAX = 1L << 30;
    /// Kept only while the disk has this many times as much room.
    private static final int ROOM_LEFT = 8;

    private final Path folder;
    private final long segmentBytes;
    private final Map<Long, Deque<Path>> byRoom = new HashMap<>();
    private final ThreadPoolExecutor making;
    private long bytes;
    private boolean known;

    Spares(Path folder, long segmentBytes) {
        this.folder = folder;
        this.segmentBytes = segmentBytes;
        making = new ThreadPoolExecutor(1, 1, 1, TimeUnit.MINUTES, new LinkedBlockingQueue<>(),
                Thread.ofPlatform().daemon().name("stepd-spares").priority(Thread.MIN_PRIORITY).factory(),
                new ThreadPoolExecutor.DiscardPolicy());
        making.allowCoreThreadTimeOut(true);
    }

    /// How large a file is that shall take so many bytes: one of few sizes, so that one session's file serves another.
    long room(long bytes) {
        if (bytes > segmentBytes) {
            long unit = Math.max(1, segmentBytes / GROWTH);
            return (bytes + unit - 1) / unit * unit;
        }
        long room = Math.min(SMALLEST, segmentBytes);
        while (room < bytes) {
            room = Math.min(room * GROWTH, segmentBytes);
        }
        return room;
    }

    /// A file of that size, if there is one; from now on the caller's, whatever is in it.
    synchronized Optional<Path> take(long room) {
        look();
        var files = byRoom.get(room);
        if (files == null || files.isEmpty()) {
            return Optional.empty();
        }
        bytes -= room;
        return Optional.of(files.pop());
    }

    /// Has a file of that size ready soon, unless one is.
    void makeAhead(long room) {
        if (making.getQueue().isEmpty()) {
            making.execute(() -> make(room));
        }
    }

    /// Takes a file that is not used any more, if one of its size may be.
    ///
    /// @return false when it is left where it is
    synchronized boolean keep(Path file) throws IOException {
        look();
        long size = Files.size(file);
        if (size != room(size) || bytes + size > BYTES_MAX || !isRoomy(file, size)) {
            return false;
        }
        Files.createDirectories(folder);
        var kept = name();
        Files.move(file, kept);
        add(kept, size);
        return true;
    }

    /// Gives the disk back what they take.
    ///
    /// @return whether there were any
    synchronized boolean clear() {
        look();
        boolean any = bytes > 0;
        byRoom.values().forEach(files -> files.forEach(Spares::delete));
        byRoom.clear();
        bytes = 0;
        return any;
    }

    /// Those that an earlier process left.
    private void look() {
        if (known) {
            return;
        }
        known = true;
        if (!Files.isDirectory(folder)) {
            return;
        }
        try (var files = Files.list(folder)) {
            for (var file : files.toList()) {
                long size = Files.size(file);
                if (size == room(size) && file.toString().endsWith(".spare")) {
                    add(file, size);
                } else {
                    delete(file);
                }
            }
        } catch (IOException e) {
            LOG.debug("no spare files from before", e);
        }
    }

    private void make(long room) {
        synchronized (this) {
            look();
            var files = byRoom.get(room);
            if (files != null && !files.isEmpty() || bytes + room > BYTES_MAX) {
                return;
            }
        }
        var file = folder.resolve(UUID.randomUUID() + ".new");
        try {
            Files.createDirectories(folder);
            if (!isRoomy(folder, room)) {
                return;
            }
            fill(file, room);
            var made = name();
            Files.move(file, made);
            synchronized (this) {
                add(made, room);
            }
        } catch (IOException e) {
            LOG.debug("no spare file of {} bytes", room, e);
            delete(file);
        }
    }

    private static void fill(Path file, long room) throws IOException {
        var zeros = ByteBuffer.allocateDirect((int) Math.min(SMALLEST, room));
        try (var channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            for (long left = room; left > 0; ) {
                left -= channel.write(zeros.clear().limit((int) Math.min(zeros.capacity(), left)));
            }
            channel.force(true);
        }
    }

    private void add(Path file, long size) {
        byRoom.computeIfAbsent(size, none -> new ArrayDeque<>()).push(file);
        bytes += size;
    }

    private Path name() {
        return folder.resolve(UUID.randomUUID() + ".spare");
    }

    private static boolean isRoomy(Path place, long size) throws IOException {
        return Files.getFileStore(place).getUsableSpace() / ROOM_LEFT > size;
    }

    private static void delete(Path file) {
        try {
            Files.deleteIfExists(file);
        } catch (IOException e) {
            LOG.debug("spare file {} stays", file, e);
        }
    }

    @Override
    public void close() {
        making.getQueue().clear();
        making.shutdown();
        try {
            making.awaitTermination(1, TimeUnit.MINUTES);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
