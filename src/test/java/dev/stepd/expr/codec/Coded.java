package dev.stepd.expr.codec;

import dev.stepd.compiler.Agreement;
import dev.stepd.compiler.World;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Draws;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Interpreter.Extent;
import dev.stepd.expr.Program;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scalar;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/// Values on their way through a format, on the interpreter and on kernels of every width, which must agree.
final class Coded {
    static final Buffer SLOT = new Buffer(Buffer.Kind.SLOT, "m", Scope.ELEMENT, Type.F32);
    private static final Buffer INPUT = new Buffer(Buffer.Kind.INPUT, "x", Scope.ELEMENT, Type.F32);
    private static final Buffer OUTPUT = new Buffer(Buffer.Kind.SLOT, "out", Scope.ELEMENT, Type.F32);

    private final Codec codec;
    private final World encoded;
    private final World decoded;

    private Coded(Codec codec, World encoded, World decoded) {
        this.codec = codec;
        this.encoded = encoded;
        this.decoded = decoded;
    }

    /// One tensor through a format and back.
    static Coded of(Codec codec, float... values) {
        var store = new StoreSlots(Map.of(SLOT, codec));
        var encode = store.apply(new Program(List.of(new Assignment(SLOT, new Expr.Read(INPUT)))));
        var decode = store.apply(new Program(List.of(new Assignment(OUTPUT, new Expr.Read(SLOT)))));
        var extents = List.of(new Extent(values.length, 1, 0, true, 1));
        var arrays = new LinkedHashMap<Buffer, long[]>();
        arrays.put(INPUT, IntStream.range(0, values.length).mapToLong(i -> Float.floatToRawIntBits(values[i])).toArray());
        for (var array : codec.arrays(SLOT)) {
            arrays.put(array, new long[dev.stepd.expr.Interpreter.count(extents, array.scope())]);
        }
        arrays.put(OUTPUT, new long[values.length]);
        var before = new World(extents, Map.of(Draws.SEED, new double[] {1}), arrays);
        var encoded = before.interpreted(encode);
        try (var agreement = new Agreement()) {
            agreement.check("encode", encode, before);
            agreement.check("decode", decode, encoded);
        }
        return new Coded(codec, encoded, encoded.interpreted(decode));
    }

    int[] codes() {
        return array(codec.arrays(SLOT).getFirst());
    }

    float[] scales() {
        return reals(array(codec.arrays(SLOT).getLast()));
    }

    float[] values() {
        return reals(java.util.Arrays.stream(decoded.arrays().get(OUTPUT)).mapToInt(x -> (int) x).toArray());
    }

    private int[] array(Buffer buffer) {
        return java.util.Arrays.stream(encoded.arrays().get(buffer)).mapToInt(x -> (int) x).toArray();
    }

    private static float[] reals(int[] bits) {
        var values = new float[bits.length];
        for (int i = 0; i < values.length; i++) {
            values[i] = Float.intBitsToFloat(bits[i]);
        }
        return values;
    }

    /// A function of one value, such as a code of it, at many values.
    static int[] each(java.util.function.UnaryOperator<Expr> function, float... values) {
        var value = function.apply(new Expr.Read(INPUT));
        var result = new Buffer(Buffer.Kind.SLOT, "result", Scope.ELEMENT, value.type());
        return run(new Program(List.of(new Assignment(result, value))), result, Map.of(INPUT, patterns(values)));
    }

    /// A function of two arrays.
    static int[] each(java.util.function.BinaryOperator<Expr> function, float[] values, int[] integers) {
        var second = new Buffer(Buffer.Kind.INPUT, "i", Scope.ELEMENT, Type.I32);
        var value = function.apply(new Expr.Read(INPUT), new Expr.Read(second));
        var result = new Buffer(Buffer.Kind.SLOT, "result", Scope.ELEMENT, value.type());
        var inputs = Map.of(INPUT, patterns(values), second, java.util.Arrays.stream(integers).asLongStream().toArray());
        return run(new Program(List.of(new Assignment(result, value))), result, inputs);
    }

    private static int[] run(Program program, Buffer result, Map<Buffer, long[]> inputs) {
        int count = inputs.get(INPUT).length;
        var arrays = new LinkedHashMap<>(inputs);
        arrays.put(result, new long[count]);
        var world = new World(List.of(new Extent(count, 1, 0, true, 1)), Map.of(), arrays);
        try (var agreement = new Agreement()) {
            agreement.check("function", program, world);
        }
        return java.util.Arrays.stream(world.interpreted(program).arrays().get(result)).mapToInt(x -> (int) x).toArray();
    }

    private static long[] patterns(float... values) {
        return IntStream.range(0, values.length).mapToLong(i -> Scalar.of(Type.F32, values[i])).toArray();
    }

    static float[] floats(List<Float> values) {
        return CodeBook.array(new ArrayList<>(values));
    }
}
