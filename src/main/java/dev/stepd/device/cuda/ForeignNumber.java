package dev.stepd.device.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// Numbers that foreign functions write to a place they are given.
final class ForeignNumber {
    /// A call that is given the place.
    interface Call {
        void writeTo(MemorySegment place) throws Throwable;
    }

    private ForeignNumber() {}

    static int getInt(Call call) {
        return (int) getLong(call);
    }

    /// Up to eight bytes, little-endian; what the call does not write is zero.
    static long getLong(Call call) {
        try (var arena = Arena.ofConfined()) {
            var place = arena.allocate(ValueLayout.JAVA_LONG);
            call.writeTo(place);
            return place.get(ValueLayout.JAVA_LONG, 0);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }
}
