package dev.stepd.tensor;

import static dev.stepd.tensor.HeaderJson.malformed;

import dev.stepd.error.ServiceException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/// Takes a safetensors body in, chunk by chunk of any size, and puts each tensor where the caller wants it.
///
/// Every rule of the format is checked as soon as the bytes that show a breach are here; nothing is written before the
/// whole header was found good, and never outside the destinations. Besides them it needs no more memory than the
/// header. Not thread-safe: one thread at a time. After a failure it stays failed.
public final class SafetensorsReceiver {
    /// Decides where a body goes, knowing all it will bring.
    public interface Destinations {
        /// Called once, before any data byte.
        ///
        /// @return for each entry of the header, in its order, memory for as many elements: of the entry's dtype, or
        ///     F32 for one of F16 or BF16, which is then widened
        /// @throws ServiceException when the body is not welcome
        List<Part> choose(SafetensorsHeader header);
    }

    /// The content length of a body that does not tell it in advance.
    public static final long UNKNOWN_LENGTH = -1;

    private static final int LENGTH_BYTES = 8;
    private static final int FIRST_HEADER_BYTES = 1 << 14;

    private final HeaderReader reader;
    private final long contentLength;
    private final Destinations destinations;
    private final CRC32C crc = new CRC32C();

    private long received;
    private long headerLength;
    private byte[] header = {};
    private int headerFilled;

    private List<Part> parts = List.of();
    private SafetensorsHeader layout = new SafetensorsHeader(List.of(), java.util.Map.of());
    private boolean headerRead;
    private long totalBytes = UNKNOWN_LENGTH;
    private int current;
    private long currentFilled;
    private @Nullable Widening widening;
    private @Nullable RuntimeException failure;

    /// @param contentLength bytes of the whole body, or [#UNKNOWN_LENGTH]
    public SafetensorsReceiver(HeaderReader reader, long contentLength, Destinations destinations) {
        this.reader = reader;
        this.contentLength = contentLength;
        this.destinations = destinations;
    }

    /// Consumes all remaining bytes of `chunk`.
    ///
    /// @throws ServiceException `MALFORMED_BODY`, or what [Destinations#choose] throws
    public void write(ByteBuffer chunk) {
        if (failure != null) {
            throw failure;
        }
        try {
            take(chunk);
        } catch (RuntimeException e) {
            failure = e;
            throw e;
        }
    }

    /// Bytes of tensors that have come so far.
    public long dataReceived() {
        return headerRead ? received - LENGTH_BYTES - headerLength : 0;
    }

    /// Declares the body complete.
    ///
    /// @throws ServiceException `MALFORMED_BODY` when bytes are missing
    public Fingerprint finish() {
        if (failure != null) {
            throw failure;
        }
        if (!headerRead || received != totalBytes) {
            throw malformed("the body ends after " + received + " bytes, "
                    + (headerRead ? "its header announces " + totalBytes : "inside its safetensors header"));
        }
        return new Fingerprint(received, crc.getValue());
    }

    private void take(ByteBuffer chunk) {
        int start = chunk.position();
        if (received < LENGTH_BYTES) {
            takeLength(chunk);
        }
        if (received >= LENGTH_BYTES && !headerRead) {
            takeHeader(chunk);
        }
        if (headerRead) {
            takeData(chunk);
        }
        int end = chunk.position();
        int limit = chunk.limit();
        chunk.limit(end).position(start);
        crc.update(chunk);
        chunk.limit(limit);
    }

    private void takeLength(ByteBuffer chunk) {
        while (received < LENGTH_BYTES && chunk.hasRemaining()) {
            headerLength |= (chunk.get() & 0xffL) << (8 * received);
            received++;
        }
        if (received < LENGTH_BYTES) {
            return;
        }
        if (headerLength < 2 || headerLength > reader.limitBytes()) {
            throw malformed("the safetensors header has " + Long.toUnsignedString(headerLength) + " bytes, allowed are 2 to "
                    + reader.limitBytes());
        }
        if (contentLength != UNKNOWN_LENGTH && LENGTH_BYTES + headerLength > contentLength) {
            throw malformed("the safetensors header has " + headerLength + " bytes, the whole body only "
                    + contentLength);
        }
        header = new byte[(int) Math.min(headerLength, FIRST_HEADER_BYTES)];
    }

    private void takeHeader(ByteBuffer chunk) {
        if (headerFilled == 0 && chunk.hasRemaining() && chunk.get(chunk.position()) != '{') {
            throw malformed("the safetensors header begins with byte " + (chunk.get(chunk.position()) & 0xff)
                    + ", expected {");
        }
        int count = (int) Math.min(headerLength - headerFilled, chunk.remaining());
        if (headerFilled + count > header.length) {
            // grows with what arrived, never with what was announced
            long doubled = Math.max(2L * header.length, headerFilled + count);
            header = Arrays.copyOf(header, (int) Math.min(headerLength, doubled));
        }
        chunk.get(header, headerFilled, count);
        headerFilled += count;
        received += count;
        if (headerFilled == headerLength) {
            acceptHeader();
        }
    }

    private void acceptHeader() {
        layout = reader.read(header, headerFilled);
        long total;
        try {
            total = Math.addExact(LENGTH_BYTES + headerLength, layout.dataBytes());
        } catch (ArithmeticException e) {
            throw malformed("the safetensors header announces more than 2^63-1 bytes", e);
        }
        if (contentLength != UNKNOWN_LENGTH && total != contentLength) {
            throw malformed("the body has " + contentLength + " bytes, its safetensors header announces " + total);
        }
        parts = destinations.choose(layout);
        checkDestinations();
        reader.remember(header, headerFilled, layout);
        header = new byte[0];
        totalBytes = total;
        headerRead = true;
    }

    private void checkDestinations() {
        for (int i = 0; i < layout.entries().size(); i++) {
            var entry = layout.entries().get(i);
            var part = parts.get(i);
            boolean widens = part.dtype() == DType.F32 && Widening.from(entry.dtype());
            if (part.dtype() != entry.dtype() && !widens
                    || part.data().byteSize() != entry.shape().elementCount() * part.dtype().bytes()) {
                throw new IllegalStateException("destination " + part + " does not fit " + entry);
            }
        }
    }

    private void takeData(ByteBuffer chunk) {
        if (chunk.remaining() > totalBytes - received) {
            throw malformed("the body goes on behind the " + totalBytes + " bytes its safetensors header announces");
        }
        if (!chunk.hasRemaining()) {
            return;
        }
        var source = MemorySegment.ofBuffer(chunk);
        long taken = 0;
        while (taken < source.byteSize()) {
            var entry = layout.entries().get(current);
            long count = Math.min(entry.byteCount() - currentFilled, source.byteSize() - taken);
            put(entry, source.asSlice(taken, count));
            taken += count;
            currentFilled += count;
            if (currentFilled == entry.byteCount()) {
                current++;
                currentFilled = 0;
            }
        }
        received += taken;
        chunk.position(chunk.limit());
    }

    private void put(SafetensorsHeader.Entry entry, MemorySegment source) {
        var part = parts.get(current);
        if (part.dtype() == entry.dtype()) {
            MemorySegment.copy(source, 0, part.data(), currentFilled, source.byteSize());
            return;
        }
        if (widening == null) {
            widening = new Widening();
        }
        widening.put(entry.dtype(), source, currentFilled, part.data());
    }
}
