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
    public static final VectorSpecies<Long> I64X2 = species(long.class, 2);
    public static final VectorSpecies<Long> I64X4 = species(long.class, 4);
    public static final VectorSpecies<Long> I64X8 = species(long.class, 8);

    private Lanes() {}

    /// Bits of the vectors kernels use here: 256 where there are, since wider ones ran no faster.
    public static int preferredBits() {
        return Math.min(256, FloatVector.SPECIES_PREFERRED.vectorBitSize());
    }

    private static <E> VectorSpecies<E> species(Class<E> element, int lanes) {
        int bits = lanes * (element == float.class || element == int.class ? 32 : 64);
        return VectorSpecies.of(element, VectorShape.forBitSize(bits));
    }

    /// The name of the constant above.
    static String speciesName(Type type, int lanes) {
        return type + "X" + lanes;
    }

    public static float getFloat(long address) {
        return ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, address);
    }

    public static double getDouble(long address) {
        return ALL.get(ValueLayout.JAVA_DOUBLE_UNALIGNED, address);
    }

    public static void setDouble(long address, double value) {
        ALL.set(ValueLayout.JAVA_DOUBLE_UNALIGNED, address, value);
    }

    public static double max(double a, double b) {
        return ReduceOp.MAX.join(a, b);
    }
}
