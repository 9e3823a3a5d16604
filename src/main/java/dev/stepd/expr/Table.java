package dev.stepd.expr;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32;

/// An array of constants that programs look values up in.
///
/// @param name what the values are; programs that look up different values under one name are different programs
/// @param type `F32` or `I32`
/// @param bits of the values, a power of two of them, so that any index can be taken modulo their number
public record Table(String name, Type type, List<Integer> bits) {
    public Table {
        bits = List.copyOf(bits);
        if (type != Type.F32 && type != Type.I32) {
            throw new IllegalStateException("table " + name + " of " + type);
        }
        if (Integer.bitCount(bits.size()) != 1) {
            throw new IllegalStateException("table " + name + " has " + bits.size() + " values, not a power of two");
        }
    }

    /// Reals, the last repeated until there is a power of two of them.
    public static Table of(String name, float... values) {
        var bits = new ArrayList<Integer>();
        for (float value : values) {
            bits.add(Float.floatToRawIntBits(value));
        }
        while (Integer.bitCount(bits.size()) != 1) {
            bits.add(bits.getLast());
        }
        return new Table(name, Type.F32, bits);
    }

    /// Whole numbers, a power of two of them.
    public static Table of(String name, int... values) {
        return new Table(name, Type.I32, java.util.Arrays.stream(values).boxed().toList());
    }

    public int size() {
        return bits.size();
    }

    /// The bits of the value at an index, whose bits above the table's size do not count.
    public int at(int index) {
        return bits.get(index & (bits.size() - 1));
    }

    /// The name, the number of values, and a checksum of them: equal for equal tables and hardly for others.
    @Override
    public String toString() {
        var bytes = ByteBuffer.allocate(bits.size() * Integer.BYTES);
        bits.forEach(bytes::putInt);
        var sum = new CRC32();
        sum.update(bytes.array());
        return "%s[%d, %08x]".formatted(name, bits.size(), sum.getValue());
    }
}
