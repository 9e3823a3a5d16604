package dev.stepd.codegen.cpu;

import dev.stepd.expr.ReduceOp;
import dev.stepd.expr.Type;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/// What generated kernels call and refer to besides the Vector API itself: memory by address, and species as constants
/// the compiler can see. Public for the generated classes' sake only.
public final class Lanes {
    /// All memory. Kernels address absolutely: bounds are checked once a launch, where arrays are bound, not at each load.
    public static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

    public static final ByteOrder LE = ByteOrder.LITTLE_ENDIAN;

    public static final VectorSpecies<Float> F32X2 = species(float.class, 2);
    public static final VectorSpecies<Float> F32X4 = species(float.class, 4);
    public static final VectorSpecies<Float> F32X8 = species(float.class, 8);
    public static final VectorSpecies<Float> F32X16 = species(float.class, 16);
    public static final VectorSpecies<Double> F64X2 = species(double.class, 2);
    public static final VectorSpecies<Double> F64X4 = species(double.class, 4);
    public static final VectorSpecies<Double> F64X8 = species(double.class, 8);
    public static final VectorSpecies<Integer> I32X2 = species(int.class, 2);
    public static final VectorSpecies<Integer> I32X4 = species(int.class, 4);
    public static final VectorSpecies<Integer> I32X8 = species(int.class, 8);
    public static final VectorSpecies<Integer> I32X16 = species(int.class, 16);
    public static final VectorSpecies<Long> I64X1 = species(long.class, 1);
    public static final VectorSpecies<Long> I64X2 = species(long.class, 2);
    public static final VectorSpecies<Long> I64X4 = species(long.class, 4);
    public static final VectorSpecies<Long> I64X8 = species(long.class, 8);

    /// Vectors have 8 bytes at least: where a kernel has fewer lanes than that, the rest of the bytes is not its own.
    public static final VectorSpecies<Byte> I8X8 = VectorSpecies.of(byte.class, VectorShape.S_64_BIT);
    public static final VectorSpecies<Byte> I8X16 = VectorSpecies.of(byte.class, VectorShape.S_128_BIT);
    public static final VectorSpecies<Short> I16X4 = VectorSpecies.of(short.class, VectorShape.S_64_BIT);
    public static final VectorSpecies<Short> I16X8 = VectorSpecies.of(short.class, VectorShape.S_128_BIT);
    public static final VectorSpecies<Short> I16X16 = VectorSpecies.of(short.class, VectorShape.S_256_BIT);

    private static final ThreadLocal<int[]> SCRATCH = ThreadLocal.withInitial(() -> new int[16]);

    private Lanes() {}

    /// Bits of the vectors kernels use here: 256 where there are, since wider ones ran no faster.
    public static int preferredBits() {
        return Math.min(256, FloatVector.SPECIES_PREFERRED.vectorBitSize());
    }

    /// Bits of the widest vectors there are here.
    public static int widestBits() {
        return Math.min(512, FloatVector.SPECIES_PREFERRED.vectorBitSize());
    }

    private static <E> VectorSpecies<E> species(Class<E> element, int lanes) {
        int bits = lanes * (element == float.class || element == int.class ? 32 : 64);
        return VectorSpecies.of(element, VectorShape.forBitSize(bits));
    }

    /// The name of the constant above.
    static String speciesName(Type type, int lanes) {
        int least = type == Type.I8 ? 8 : type == Type.I16 ? 4 : 0;
        return type + "X" + Math.max(least, lanes);
    }

    /// Room for a vector of indexes: gathers take them from memory.
    public static int[] scratch() {
        return SCRATCH.get();
    }

    public static float getF32(long address) {
        return ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, address);
    }

    public static double getF64(long address) {
        return ALL.get(ValueLayout.JAVA_DOUBLE_UNALIGNED, address);
    }

    public static int getI8(long address) {
        return Byte.toUnsignedInt(ALL.get(ValueLayout.JAVA_BYTE, address));
    }

    public static int getI16(long address) {
        return Short.toUnsignedInt(ALL.get(ValueLayout.JAVA_SHORT_UNALIGNED, address));
    }

    public static int getI32(long address) {
        return ALL.get(ValueLayout.JAVA_INT_UNALIGNED, address);
    }

    public static long getI64(long address) {
        return ALL.get(ValueLayout.JAVA_LONG_UNALIGNED, address);
    }

    public static void setF32(long address, float value) {
        ALL.set(ValueLayout.JAVA_FLOAT_UNALIGNED, address, value);
    }

    public static void setF64(long address, double value) {
        ALL.set(ValueLayout.JAVA_DOUBLE_UNALIGNED, address, value);
    }

    public static void setI32(long address, int value) {
        ALL.set(ValueLayout.JAVA_INT_UNALIGNED, address, value);
    }

    public static void setI64(long address, long value) {
        ALL.set(ValueLayout.JAVA_LONG_UNALIGNED, address, value);
    }

    public static void setInt(int value, long address) {
        ALL.set(ValueLayout.JAVA_INT_UNALIGNED, address, value);
    }

    public static void setShort(int value, long address) {
        ALL.set(ValueLayout.JAVA_SHORT_UNALIGNED, address, (short) value);
    }

    public static void setByte(int value, long address) {
        ALL.set(ValueLayout.JAVA_BYTE, address, (byte) value);
    }

    public static double max(double a, double b) {
        return ReduceOp.MAX.join(a, b);
    }

    public static float max(float a, float b) {
        return (float) ReduceOp.MAX.join(a, b);
    }
}
