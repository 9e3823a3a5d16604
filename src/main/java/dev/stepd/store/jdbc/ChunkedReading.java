package dev.stepd.store.jdbc;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.store.StoredSnapshot;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.function.Consumer;

/// Puts the chunks of a snapshot together again, one query each: some drivers fetch a whole result at once.
final class ChunkedReading {
    private static final int BUFFER_BYTES = 1 << 16;

    private ChunkedReading() {}

    static void read(Connection connection, StoredSnapshot snapshot, Consumer<MemorySegment> sink) throws SQLException {
        try (var arena = Arena.ofConfined()) {
            var buffer = arena.allocate(Math.min(ChunkedWriting.CHUNK_BYTES, snapshot.bytes()));
            long left = snapshot.bytes();
            for (long position = 0; left > 0; position++) {
                long count = readChunk(connection, snapshot, position, buffer.asSlice(0, Math.min(left, buffer.byteSize())));
                sink.accept(buffer.asSlice(0, count));
                left -= count;
            }
        }
    }

    private static long readChunk(Connection connection, StoredSnapshot snapshot, long position, MemorySegment into)
            throws SQLException {
        try (var query = connection.prepareStatement(
                "SELECT encoding, byte_count, data FROM snapshot_chunks WHERE snapshot_id = ? AND position = ?")) {
            query.setString(1, snapshot.id());
            query.setLong(2, position);
            try (var rows = query.executeQuery()) {
                if (!rows.next()) {
                    throw damaged(snapshot, "chunk " + position + " is missing");
                }
                int announced = rows.getInt(2);
                if (!rows.getString(1).equals("raw") || announced <= 0 || announced > into.byteSize()) {
                    throw damaged(snapshot, "chunk " + position + " has " + announced + " bytes in encoding "
                            + rows.getString(1) + ", " + into.byteSize() + " raw ones are left to read");
                }
                long count;
                try (var data = rows.getBinaryStream(3)) {
                    count = copy(data, into.asSlice(0, announced));
                }
                if (count != announced) {
                    throw damaged(snapshot, "chunk " + position + " has not the " + announced + " bytes it should");
                }
                return count;
            } catch (IOException e) {
                throw new SQLException("chunk " + position + " cannot be read", e);
            }
        }
    }

    /// The bytes copied; one more than `into` holds when the stream goes on.
    private static long copy(InputStream data, MemorySegment into) throws IOException {
        var buffer = new byte[BUFFER_BYTES];
        long filled = 0;
        for (int count = data.read(buffer); count >= 0; count = data.read(buffer)) {
            if (count > into.byteSize() - filled) {
                return into.byteSize() + 1;
            }
            MemorySegment.copy(MemorySegment.ofArray(buffer), 0, into, filled, count);
            filled += count;
        }
        return filled;
    }

    private static ServiceException damaged(StoredSnapshot snapshot, String how) {
        return new ServiceException(ErrorCode.CONFLICT, "snapshot " + snapshot.id() + " is damaged: " + how);
    }
}
