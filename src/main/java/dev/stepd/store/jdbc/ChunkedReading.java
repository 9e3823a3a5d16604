package dev.stepd.store.jdbc;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.store.StoredSnapshot;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.function.Consumer;

/// Puts the chunks of a snapshot together again, one query each: some drivers fetch a whole result at once. A chunk is what its hash
/// says, or damaged.
final class ChunkedReading {
    /// The second half finds what was written before chunks were kept by content; the digest of the whole proves that.
    private static final String CHUNK = """
            SELECT encoding, byte_count, stored_count, data, chunks.hash
              FROM chunk_uses JOIN chunks ON chunks.hash = chunk_uses.hash WHERE snapshot_id = ? AND position = ?
            UNION ALL
            SELECT encoding, byte_count, byte_count, data, '' FROM snapshot_chunks WHERE snapshot_id = ? AND position = ?""";

    private final Connection connection;
    private final StoredSnapshot snapshot;
    private byte[] stored = new byte[0];
    private byte[] decoded = new byte[0];
    private long position;
    private long left;

    private ChunkedReading(Connection connection, StoredSnapshot snapshot) {
        this.connection = connection;
        this.snapshot = snapshot;
        this.left = snapshot.bytes();
    }

    static void read(Connection connection, StoredSnapshot snapshot, Consumer<MemorySegment> sink) throws SQLException {
        new ChunkedReading(connection, snapshot).readInto(sink);
    }

    private void readInto(Consumer<MemorySegment> sink) throws SQLException {
        try (var arena = Arena.ofConfined()) {
            var buffer = arena.allocate(Math.min(Chunks.BYTES_MAX, snapshot.bytes()));
            for (; left > 0; position++) {
                int count = readChunk();
                MemorySegment.copy(MemorySegment.ofArray(decoded), 0, buffer, 0, count);
                sink.accept(buffer.asSlice(0, count));
                left -= count;
            }
        }
    }

    /// Has the next chunk in `decoded`.
    private int readChunk() throws SQLException {
        try (var query = JdbcSnapshotStore.prepare(connection, CHUNK, snapshot.id(), position, snapshot.id(), position);
                var rows = query.executeQuery()) {
            if (!rows.next()) {
                throw damaged("is missing");
            }
            int count = rows.getInt(2);
            int storedCount = rows.getInt(3);
            if (count <= 0 || count > Math.min(left, Chunks.BYTES_MAX) || storedCount <= 0 || storedCount > count) {
                throw damaged("has " + count + " bytes kept as " + storedCount + ", " + left + " are left to read");
            }
            fetch(rows, storedCount);
            decode(rows.getString(1), storedCount, count);
            var hash = rows.getString(5);
            if (!hash.isEmpty() && !hash.equals(Chunks.hash(decoded, count))) {
                throw damaged("has not the content it was stored with");
            }
            return count;
        }
    }

    private void fetch(ResultSet row, int count) throws SQLException {
        if (stored.length < count) {
            stored = new byte[count];
        }
        try (InputStream data = row.getBinaryStream(4)) {
            if (data.readNBytes(stored, 0, count) != count || data.read() >= 0) {
                throw damaged("has not the " + count + " bytes it should");
            }
        } catch (IOException e) {
            throw new SQLException("chunk " + position + " cannot be read", e);
        }
    }

    private void decode(String encoding, int storedCount, int count) {
        switch (encoding) {
            case "raw" -> {
                if (storedCount != count) {
                    throw damaged("has " + storedCount + " raw bytes of " + count);
                }
                var swapped = decoded;
                decoded = stored;
                stored = swapped;
            }
            case "zstd" -> {
                if (decoded.length < count) {
                    decoded = new byte[count];
                }
                if (!Compression.decompress(stored, storedCount, decoded, count)) {
                    throw damaged("cannot be decompressed");
                }
            }
            default -> throw damaged("is kept in encoding " + encoding + ", which this version cannot read");
        }
    }

    private ServiceException damaged(String how) {
        return new ServiceException(ErrorCode.CONFLICT, "snapshot " + snapshot.id() + " is damaged: chunk " + position + " " + how);
    }
}
