package dev.stepd.store.journal;

import dev.stepd.store.journal.Entry.Kind;
import dev.stepd.tensor.Fingerprint;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.zip.CRC32C;

/// The bytes of segment files, little-endian, everything at multiples of 8.
///
/// A file begins with a header: magic, version, length, first step, length of text, text (session, line and program on a line each), padding,
/// CRC-32C of all that. Records follow: magic, kind, length, step, length and CRC of the request's body, learning rate, norm, words of the two bit
/// sets, bytes of the payload, the bit sets, the payload, padding, and a CRC-32C over the line's name and all that. The name makes a record of
/// another line that lies where this file now is invalid.
final class RecordFormat {
    static final int ALIGNMENT = 8;
    private static final long FILE_MAGIC = 0x316c6e726a647473L; // "stdjrnl1"
    private static final int VERSION = 1;
    private static final int HEADER_FIXED = 28;
    private static final int HEADER_MAX = 1 << 16;
    private static final int RECORD_MAGIC = 0x43524a53; // "SJRC"
    private static final int HEAD_FIXED = 72;
    private static final int TRAILER = 8;
    /// What one buffer can show; a multiple of what any device likes.
    private static final long SLICE_BYTES = 1 << 30;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /// What a segment file says of itself.
    record Header(String session, String line, String program, long firstStep, long byteCount) {}

    /// A valid record and where it lies in its file.
    record Found(Entry entry, MemorySegment payload, long begin, long end) {}

    private RecordFormat() {}

    static ByteBuffer header(String session, String line, String program, long firstStep) {
        var text = (session + "\n" + line + "\n" + program).getBytes(StandardCharsets.UTF_8);
        int length = aligned(HEADER_FIXED + text.length + Integer.BYTES);
        var bytes = direct(length).putLong(FILE_MAGIC).putInt(VERSION).putInt(length).putLong(firstStep).putInt(text.length).put(text);
        var crc = new CRC32C();
        crc.update(bytes.duplicate().clear().limit(length - Integer.BYTES));
        return bytes.putInt(length - Integer.BYTES, (int) crc.getValue()).clear();
    }

    /// Nothing when it is damaged or not all there.
    static Optional<Header> header(MemorySegment file) {
        if (file.byteSize() < HEADER_FIXED || file.get(LONG, 0) != FILE_MAGIC || file.get(INT, 8) != VERSION) {
            return Optional.empty();
        }
        int length = file.get(INT, 12);
        int textLength = file.get(INT, 24);
        if (length > Math.min(HEADER_MAX, file.byteSize()) || textLength < 0 || length != aligned(HEADER_FIXED + textLength + Integer.BYTES)) {
            return Optional.empty();
        }
        var crc = new CRC32C();
        update(crc, file.asSlice(0, length - Integer.BYTES));
        if ((int) crc.getValue() != file.get(INT, length - Integer.BYTES)) {
            return Optional.empty();
        }
        var text = new String(file.asSlice(HEADER_FIXED, textLength).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.UTF_8).split("\n", 3);
        return Optional.of(new Header(text[0], text[1], text[2], file.get(LONG, 16), length));
    }

    /// A record but for its payload.
    record Framing(ByteBuffer head, ByteBuffer tail) {
        long byteCount(long payloadBytes) {
            return head.remaining() + payloadBytes + tail.remaining();
        }
    }

    static Framing frame(String line, Entry entry, List<MemorySegment> payload) {
        long payloadBytes = payload.stream().mapToLong(MemorySegment::byteSize).sum();
        var present = entry.present().toLongArray();
        var given = entry.given().toLongArray();
        int headBytes = HEAD_FIXED + (present.length + given.length) * Long.BYTES;
        int padding = (int) (-payloadBytes & (ALIGNMENT - 1));
        var head = direct(headBytes).putInt(RECORD_MAGIC).putInt(entry.kind().ordinal())
                .putLong(headBytes + payloadBytes + padding + TRAILER).putLong(entry.step())
                .putLong(entry.body().byteCount()).putLong(entry.body().crc()).putDouble(entry.lr()).putDouble(entry.gradNorm())
                .putInt(present.length).putInt(given.length).putLong(payloadBytes);
        for (var words : new long[][] {present, given}) {
            for (long word : words) {
                head.putLong(word);
            }
        }
        head.flip();
        var tail = direct(padding + TRAILER);
        var crc = crcOf(line);
        crc.update(head.duplicate());
        payload.forEach(part -> update(crc, part));
        crc.update(tail.duplicate().limit(padding));
        tail.putLong(padding, crc.getValue());
        return new Framing(head, tail);
    }

    /// The record that begins there, if it is whole.
    static Optional<Found> record(String line, MemorySegment file, long begin) {
        long room = file.byteSize() - begin;
        if (room < HEAD_FIXED + TRAILER || file.get(INT, begin) != RECORD_MAGIC) {
            return Optional.empty();
        }
        int kind = file.get(INT, begin + 4);
        long length = file.get(LONG, begin + 8);
        long presentWords = file.get(INT, begin + 56);
        long givenWords = file.get(INT, begin + 60);
        long payloadBytes = file.get(LONG, begin + 64);
        long headBytes = HEAD_FIXED + (presentWords + givenWords) * Long.BYTES;
        if (kind < 0 || kind >= Kind.values().length || presentWords < 0 || givenWords < 0 || payloadBytes < 0 || length > room
                || headBytes > length || payloadBytes > length
                || length != headBytes + payloadBytes + (-payloadBytes & (ALIGNMENT - 1)) + TRAILER) {
            return Optional.empty();
        }
        var crc = crcOf(line);
        update(crc, file.asSlice(begin, length - TRAILER));
        if (crc.getValue() != file.get(LONG, begin + length - TRAILER)) {
            return Optional.empty();
        }
        long bits = begin + HEAD_FIXED;
        var entry = new Entry(Kind.values()[kind], file.get(LONG, begin + 16),
                new Fingerprint(file.get(LONG, begin + 24), file.get(LONG, begin + 32)),
                bits(file, bits, presentWords), bits(file, bits + presentWords * Long.BYTES, givenWords),
                Double.longBitsToDouble(file.get(LONG, begin + 40)), Double.longBitsToDouble(file.get(LONG, begin + 48)));
        return Optional.of(new Found(entry, file.asSlice(begin + headBytes, payloadBytes), begin, begin + length));
    }

    /// The first valid record at or behind a place, wherever it begins.
    static Optional<Found> search(String line, MemorySegment file, long from) {
        for (long at = from; at + HEAD_FIXED + TRAILER <= file.byteSize(); at += ALIGNMENT) {
            if (file.get(INT, at) == RECORD_MAGIC) {
                var found = record(line, file, at);
                if (found.isPresent()) {
                    return found;
                }
            }
        }
        return Optional.empty();
    }

    /// Memory in pieces that a buffer can show.
    static void eachSlice(MemorySegment memory, Consumer<ByteBuffer> use) {
        for (long at = 0; at < memory.byteSize(); at += SLICE_BYTES) {
            use.accept(memory.asSlice(at, Math.min(SLICE_BYTES, memory.byteSize() - at)).asByteBuffer());
        }
    }

    private static BitSet bits(MemorySegment file, long at, long words) {
        return BitSet.valueOf(file.asSlice(at, words * Long.BYTES).toArray(LONG));
    }

    private static CRC32C crcOf(String line) {
        var crc = new CRC32C();
        crc.update(line.getBytes(StandardCharsets.UTF_8));
        return crc;
    }

    private static void update(CRC32C crc, MemorySegment memory) {
        eachSlice(memory, crc::update);
    }

    private static ByteBuffer direct(int bytes) {
        return ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static int aligned(int bytes) {
        return (bytes + ALIGNMENT - 1) & -ALIGNMENT;
    }
}
