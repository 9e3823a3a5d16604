package dev.stepd.compiler;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Draws;
import dev.stepd.expr.Interpreter;
import dev.stepd.expr.Program;
import dev.stepd.expr.Scalar;
import dev.stepd.expr.Type;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.random.RandomGenerator;

/// What a program runs over: tensors, hyperparameters by group, and arrays full of values.
public record World(List<Interpreter.Extent> extents, Map<String, double[]> hypers, Map<Buffer, long[]> arrays) {
    /// What arrays are filled with.
    public enum Values {
        /// Both signs, over six decades.
        TAME,
        /// A third of them zeros, subnormals, infinities, NaN and other ends of the range.
        SPECIAL
    }

    static final double[] SPECIALS = {
        0.0, -0.0, 1, -1, 0.5, 2, Float.MIN_VALUE, -Float.MIN_VALUE, Float.MIN_NORMAL, 0x1.234p-130, -0x1.fp-140,
        Float.MAX_VALUE, -Float.MAX_VALUE, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, Double.NaN,
        1e-30, 1e30, -1e-20, 88.8, -104.5, 1e-300, -0x1p-1060, Double.MIN_VALUE, 1e300, -710.5, 0.99999994, 0.55
    };

    /// Tensors of the given sizes in one to three groups, some without gradient, each with its own step count.
    static List<Interpreter.Extent> tensors(RandomGenerator random, boolean absences, int... sizes) {
        var extents = new ArrayList<Interpreter.Extent>();
        int group = 0;
        long origin = 0;
        long step = 1 + random.nextInt(20);
        for (int size : sizes) {
            group += random.nextInt(4) == 0 ? 1 : 0;
            step = random.nextInt(3) == 0 ? 1 + random.nextInt(20) : step;
            boolean present = !absences || random.nextInt(4) != 0;
            // Declared one after the other, or others in between.
            origin += random.nextInt(3) == 0 ? random.nextInt(1 << 30) : 0;
            extents.add(new Interpreter.Extent(size, 1, rows(random, size), group, present, step, origin));
            origin += size;
        }
        return extents;
    }

    /// A divisor, or nothing and everything where there are no elements: shapes `[0, 5]` and `[3, 0]`.
    private static int rows(RandomGenerator random, int size) {
        if (size == 0) {
            return random.nextBoolean() ? 3 : 0;
        }
        int rows = 1 + random.nextInt(Math.min(size, 80));
        while (size % rows != 0) {
            rows--;
        }
        return rows;
    }

    public static World random(
            RandomGenerator random, List<Interpreter.Extent> extents, Iterable<Buffer> buffers, Values values) {
        var hypers = new LinkedHashMap<String, double[]>();
        int groups = Interpreter.count(extents, dev.stepd.expr.Scope.GROUP);
        for (var name : Programs.HYPERS) {
            hypers.put(name, random.doubles(groups, 0, 1).toArray());
        }
        hypers.put(Draws.SEED, random.doubles(groups, 0, 1e9).map(Math::rint).toArray());
        var arrays = new LinkedHashMap<Buffer, long[]>();
        for (var buffer : buffers) {
            var array = new long[Interpreter.count(extents, buffer.scope())];
            for (int i = 0; i < array.length; i++) {
                array[i] = buffer.storage().loaded() == Type.I32
                        ? Scalar.stored(buffer.storage(), random.nextInt())
                        : Scalar.of(buffer.storage(), value(random, values));
            }
            arrays.put(buffer, array);
        }
        shareGradients(arrays);
        return new World(extents, hypers, arrays);
    }

    /// Deltas lie where gradients do, so what no delta overwrites is the gradient.
    private static void shareGradients(Map<Buffer, long[]> arrays) {
        for (var delta : arrays.keySet()) {
            for (var grad : arrays.keySet()) {
                if (delta.kind() == Buffer.Kind.DELTA && grad.kind() == Buffer.Kind.GRAD) {
                    arrays.put(delta, arrays.get(grad).clone());
                }
            }
        }
    }

    static double value(RandomGenerator random, Values values) {
        if (values == Values.SPECIAL && random.nextInt(3) == 0) {
            return SPECIALS[random.nextInt(SPECIALS.length)];
        }
        return random.nextGaussian() * Math.pow(10, random.nextInt(6) - 4);
    }

    public World copy() {
        var copies = new LinkedHashMap<Buffer, long[]>();
        arrays.forEach((buffer, array) -> copies.put(buffer, array.clone()));
        return new World(extents, hypers, copies);
    }

    /// The arrays as the interpreter leaves them.
    public World interpreted(Program program) {
        var after = copy();
        Interpreter.run(program, extents, (name, group) -> hypers.get(name)[group], after.arrays);
        return after;
    }

    /// Where another world's arrays hold other values, as text; nothing when all agree. NaN equals NaN.
    List<String> differences(World other) {
        var differences = new ArrayList<String>();
        arrays.forEach((buffer, array) -> {
            var others = other.arrays.get(buffer);
            for (int i = 0; i < array.length; i++) {
                if (!same(buffer.storage(), array[i], others[i]) && differences.size() < 5) {
                    differences.add("%s[%d of %d]: %s, not %s".formatted(buffer, i, array.length,
                            Scalar.toDouble(buffer.storage(), array[i]), Scalar.toDouble(buffer.storage(), others[i])));
                }
            }
        });
        return differences;
    }

    private static boolean same(Type type, long a, long b) {
        return a == b || type.isReal() && Double.isNaN(Scalar.toDouble(type, a)) && Double.isNaN(Scalar.toDouble(type, b));
    }
}
