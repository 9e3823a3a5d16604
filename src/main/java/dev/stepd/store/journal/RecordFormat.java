package dev.stepd.store.journal;

import dev.stepd.store.journal.Entry.Kind;
import dev.stepd.tensor.Fingerprint;
import java.lang.foreign.Arena;
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
/// sets, bytes of the payload, the bit sets, the payload, padding, and a CRC-32C over the segment's name and all that. The name makes what another
/// segment left in the same blocks invalid. In version 1 it was the line's, and files were always new.
final class RecordFormat {
    static final int ALIGNMENT = 8;
    private static final long FILE_MAGIC = 0x316c6e726a647473L; // "stdjrnl1"
    private static final int VERSION = 2;
    private static final int HEADER_FIXED = 28;
    private static final int HEADER_MAX = 1 << 16;
    private static final int RECORD_MAGIC = 0x43524a53; // "SJRC"
    private static final int HEAD_FIXED = 72;
    private static final int TRAILER = 8;
    private static final MemorySegment ZEROS = Arena.global().allocate(1 << 16, ALIGNMENT);
    /// What one buffer can show; a multiple of what any device likes.
    private static final long SLICE_BYTES = 1 << 30;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /// What a segment file says of itself.
    record Header(String session, String line, String program, long firstStep, long byteCount, int version) {
        /// What the segment's records are proved with.
        String seal() {
            return version == 1 ? line : RecordFormat.seal(session, line, firstStep);
        }
    }

    /// A valid record and where it lies in its file.
    record Found(Entry entry, MemorySegment payload, long begin, long end) {}

    private RecordFormat() {}

    /// What the records of a segment are proved with: no other segment there ever was has the same.
    static String seal(String session, String line, long firstStep) {
        return session + "/" + line + "/" + firstStep;
    }

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
        if (file.byteSize() < HEADER_FIXED || file.get(LONG, 0) != FILE_MAGIC) {
            return Optional.empty();
        }
        int version = file.get(INT, 8);
        int length = file.get(INT, 12);
        int textLength = file.get(INT, 24);
        if (version < 1 || version > VERSION || length > Math.min(HEADER_MAX, file.byteSize()) || textLength < 0 || length != aligned(HEADER_FIXED + textLength + Integer.BYTES)) {
            return Optional.empty();
        }
        var crc = new CRC32C();
        update(crc, file.asSlice(0, length - Integer.BYTES));
        if ((int) crc.getValue() != file.get(INT, length - Integer.BYTES)) {
            return Optional.empty();
        }
        var text = new String(file.asSlice(HEADER_FIXED, textLength).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.UTF_8).split("\n", 3);
        return Optional.of(new Header(text[0], text[1], text[2], file.get(LONG, 16), length, version));
    }

    /// A record but for its payload.
    record Framing(ByteBuffer head, ByteBuffer tail) {}

    static long byteCount(Entry entry, long payloadBytes) {
        return headBytes(entry) + payloadBytes + padding(payloadBytes) + TRAILER;
    }

    private static int headBytes(Entry entry) {
        return HEAD_FIXED + words(entry.present()) * Long.BYTES + words(entry.given()) * Long.BYTES;
    }

    /// As many as [BitSet#toLongArray] has.
    private static int words(BitSet bits) {
        return (bits.length() + Long.SIZE - 1) / Long.SIZE;
    }

    private static int padding(long payloadBytes) {
        return (int) (-payloadBytes & (ALIGNMENT - 1));
    }

    static Framing frame(String seal, Entry entry, List<MemorySegment> payload) {
        long payloadBytes = payload.stream().mapToLong(MemorySegment::byteSize).sum();
        var present = entry.present().toLongArray();
        var given = entry.given().toLongArray();
        int headBytes = headBytes(entry);
        int padding = padding(payloadBytes);
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
        var crc = crcOf(seal);
        crc.update(head.duplicate());
        payload.forEach(part -> update(crc, part));
        crc.update(tail.duplicate().limit(padding));
        tail.putLong(padding, crc.getValue());
        return new Framing(head, tail);
    }

    /// The record that begins there, if it is whole.
    static Optional<Found> record(String seal, MemorySegment file, long begin) {
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
                || length != headBytes + payloadBytes + padding(payloadBytes) + TRAILER) {
            return Optional.empty();
        }
        var crc = crcOf(seal);
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
    static Optional<Found> search(String seal, MemorySegment file, long from) {
        for (long at = from; at + HEAD_FIXED + TRAILER <= file.byteSize(); at += ALIGNMENT) {
            if (at % ZEROS.byteSize() == 0) {
                at = behindZeros(file, at);
            }
            if (at + HEAD_FIXED + TRAILER <= file.byteSize() && file.get(INT, at) == RECORD_MAGIC) {
                var found = record(seal, file, at);
                if (found.isPresent()) {
                    return found;
                }
            }
        }
        return Optional.empty();
    }

    /// Most of a file that was made ahead.
    private static long behindZeros(MemorySegment file, long from) {
        long at = from;
        while (at + ZEROS.byteSize() <= file.byteSize()
                && MemorySegment.mismatch(file, at, at + ZEROS.byteSize(), ZEROS, 0, ZEROS.byteSize()) < 0) {
            at += ZEROS.byteSize();
        }
        return at;
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

    private static CRC32C crcOf(String seal) {
        var crc = new CRC32C();
        crc.update(seal.getBytes(StandardCharsets.UTF_8));
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
