package dev.stepd.engine;

import dev.stepd.device.Array;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// What an array holds, wherever it lives, and putting something there.
public final class Values {
    private Values() {}

    public static byte[] bytes(Array array) {
        try (var arena = Arena.ofConfined()) {
            return read(array, arena).toArray(ValueLayout.JAVA_BYTE);
        }
    }

    public static float[] floats(Array array) {
        try (var arena = Arena.ofConfined()) {
            return read(array, arena).toArray(ValueLayout.JAVA_FLOAT);
        }
    }

    public static double[] doubles(Array array) {
        try (var arena = Arena.ofConfined()) {
            return read(array, arena).toArray(ValueLayout.JAVA_DOUBLE);
        }
    }

    private static MemorySegment read(Array array, Arena arena) {
        var values = arena.allocate(array.byteSize(), Long.BYTES);
        array.read(0, values);
        return values;
    }

    public static void put(byte[] values, Array array) {
        try (var arena = Arena.ofConfined()) {
            array.write(0, arena.allocateFrom(ValueLayout.JAVA_BYTE, values));
        }
    }

    public static void put(float[] values, Array array) {
        try (var arena = Arena.ofConfined()) {
            array.write(0, arena.allocateFrom(ValueLayout.JAVA_FLOAT, values));
        }
    }

    public static void copy(Array from, Array to) {
        try (var arena = Arena.ofConfined()) {
            to.write(0, read(from, arena));
        }
    }
}
