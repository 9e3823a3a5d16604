package dev.stepd.device.cuda;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// Compiled modules in a folder, so that a server does not compile again what an earlier one did. Entries appear whole or not at
/// all, are checked when read, and the ones unused for longest make room. Safe for several threads and several processes. A
/// folder that cannot be used costs time and one line in the log, nothing else.
final class ModuleCache {
    /// What the folder may hold unless told otherwise: thousands of modules.
    static final long BYTES_MAX = 512L << 20;

    private static final Logger LOG = LoggerFactory.getLogger(ModuleCache.class);
    private static final byte[] HEADER = "stepd module 1\n\0".getBytes(StandardCharsets.US_ASCII);
    private static final int DIGEST_BYTES = 32;
    private static final String ENTRY = ".module";
    private static final String PART = ".part";
    /// By then whoever wrote it is gone.
    private static final Duration PART_LIFE = Duration.ofHours(1);

    private final Path folder;
    private final long bytesMax;
    private final AtomicBoolean writable = new AtomicBoolean(true);

    /// @param folder made when first written to
    /// @param bytesMax of all entries together
    ModuleCache(Path folder, long bytesMax) {
        this.folder = folder;
        this.bytesMax = bytesMax;
    }

    /// What was stored by a key. An entry that is damaged is dropped.
    Optional<byte[]> find(String key) {
        var file = folder.resolve(key + ENTRY);
        try {
            var entry = Files.readAllBytes(file);
            int start = HEADER.length + DIGEST_BYTES;
            if (entry.length <= start || !Arrays.equals(entry, 0, HEADER.length, HEADER, 0, HEADER.length)) {
                return drop(file);
            }
            var image = Arrays.copyOfRange(entry, start, entry.length);
            if (!MessageDigest.isEqual(digest(image), Arrays.copyOfRange(entry, HEADER.length, start))) {
                return drop(file);
            }
            touch(file);
            return Optional.of(image);
        } catch (IOException e) {
            return Optional.empty(); // not there, or not readable: then it is compiled
        }
    }

    /// @param key a file's name without its ending
    void store(String key, byte[] image) {
        if (writable.get() && image.length + HEADER.length + DIGEST_BYTES <= bytesMax) {
            try {
                Files.createDirectories(folder);
                write(key, image);
                makeRoom();
            } catch (IOException | UncheckedIOException e) {
                if (writable.getAndSet(false)) {
                    LOG.warn("compiled CUDA modules are not kept, so later starts compile them again: {} cannot be written ({})",
                            folder, e.toString());
                }
            }
        }
    }

    private void write(String key, byte[] image) throws IOException {
        var part = Files.createTempFile(folder, key.substring(0, Math.min(16, key.length())), PART);
        try {
            try (var channel = FileChannel.open(part, StandardOpenOption.WRITE)) {
                for (var bytes : new byte[][] {HEADER, digest(image), image}) {
                    var buffer = ByteBuffer.wrap(bytes);
                    while (buffer.hasRemaining()) {
                        channel.write(buffer);
                    }
                }
            }
            Files.move(part, folder.resolve(key + ENTRY), StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(part);
        }
    }

    /// A file as it was when the folder was listed; another process may have taken it since.
    private record Entry(Path file, long bytes, FileTime used) {
        boolean isPart() {
            return file.toString().endsWith(PART);
        }

        boolean isAbandoned() {
            return used.toInstant().isBefore(Instant.now().minus(PART_LIFE));
        }
    }

    private void makeRoom() throws IOException {
        var entries = new ArrayList<Entry>();
        try (var files = Files.newDirectoryStream(folder)) {
            for (var file : files) {
                entry(file).ifPresent(entries::add);
            }
        }
        long bytes = entries.stream().mapToLong(Entry::bytes).sum();
        entries.sort(Comparator.comparing(Entry::used));
        for (var entry : entries) {
            if (entry.isPart() ? entry.isAbandoned() : bytes > bytesMax) {
                Files.deleteIfExists(entry.file);
                bytes -= entry.bytes;
            }
        }
    }

    private static Optional<Entry> entry(Path file) {
        var name = file.getFileName().toString();
        if (!name.endsWith(ENTRY) && !name.endsWith(PART)) {
            return Optional.empty(); // not ours
        }
        try {
            return Optional.of(new Entry(file, Files.size(file), Files.getLastModifiedTime(file)));
        } catch (IOException e) {
            return Optional.empty(); // gone
        }
    }

    private static void touch(Path file) {
        try {
            Files.setLastModifiedTime(file, FileTime.from(Instant.now()));
        } catch (IOException e) {
            // it only seems older than it is
        }
    }

    private static Optional<byte[]> drop(Path file) throws IOException {
        LOG.info("{} is damaged; it is compiled again", file);
        Files.deleteIfExists(file);
        return Optional.empty();
    }

    static byte[] digest(byte[] bytes) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(bytes);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java runtime has SHA-256", e);
        }
    }
}
