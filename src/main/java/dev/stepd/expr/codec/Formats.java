package dev.stepd.expr.codec;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Interpreter;
import dev.stepd.expr.Program;
import dev.stepd.expr.Scalar;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;

/// The formats there are, by name.
public final class Formats {
    /// From the exact to the small.
    public static final List<String> NAMES = List.of("f32", "bf16", "f16", "int8", "fp8", "int4");

    private static final int BLOCK = 256;
    /// With fewer codes one large value costs its neighbours more.
    private static final int SMALL_BLOCK = 128;

    private Formats() {}

    /// A format as sessions have it unless they say more.
    ///
    /// @param signed whether the slot may be negative: formats with code books have two
    public static Optional<Codec> find(String name, boolean signed) {
        return Optional.ofNullable(switch (name) {
            case "f32" -> new PlainCodec();
            case "bf16" -> new Bf16Codec(true);
            case "f16" -> new F16Codec(true);
            case "int8" -> int8(signed, BLOCK);
            case "fp8" -> fp8(BLOCK);
            case "int4" -> int4(signed, SMALL_BLOCK);
            default -> null;
        });
    }

    /// Blocks of dynamic 8-bit codes, as bitsandbytes stores them: the scale is the block's largest magnitude, and a tie
    /// becomes the lower code.
    public static Codec int8(boolean signed, int block) {
        return new BlockCodec("int8", new DynamicCodes(signed, Codes.Tie.LOWER), block, BlockCodec.Scaling.INVERSE);
    }

    /// The same as torchao stores them: no scale is below `1e-12`, and a tie becomes the upper code.
    public static Codec int8Floored(boolean signed, int block) {
        return new BlockCodec("int8", new DynamicCodes(signed, Codes.Tie.UPPER), block, BlockCodec.Scaling.FLOOR);
    }

    /// Blocks of 4-bit codes, as torchao stores them: dynamic ones with a sign, linear ones without sign or zero.
    public static Codec int4(boolean signed, int block) {
        return new BlockCodec("int4", int4Codes(signed, Codes.Tie.UPPER), block, BlockCodec.Scaling.FLOOR);
    }

    static Codes int4Codes(boolean signed, Codes.Tie tie) {
        return new BookCodes(signed ? CodeBook.dynamic(true, 3) : CodeBook.linear(16), tie, Type.I4);
    }

    /// What each of a slot's arrays holds at first where the slot is `value`: bits as [dev.stepd.expr.Scalar] has them.
    public static List<Long> initial(Codec codec, Buffer slot, float value) {
        var given = new Buffer(Buffer.Kind.INPUT, "initial", Scope.ELEMENT, Type.F32);
        var targets = codec.arrays(slot);
        var values = codec.encodeNearest(slot, new Expr.Read(given));
        var arrays = new LinkedHashMap<Buffer, long[]>();
        arrays.put(given, new long[] {Scalar.of(Type.F32, value)});
        var assignments = new ArrayList<Program.Assignment>();
        for (int i = 0; i < targets.size(); i++) {
            assignments.add(new Program.Assignment(targets.get(i), values.get(i)));
            arrays.put(targets.get(i), new long[1]);
        }
        var one = List.of(new Interpreter.Extent(1, 1, 0, true, 1));
        Interpreter.run(new Program(assignments), one, (_, _) -> 0, arrays);
        return targets.stream().map(target -> arrays.get(target)[0]).toList();
    }

    /// Blocks of 8-bit floats, the largest of which is 448 times the scale.
    public static Codec fp8(int block) {
        return new BlockCodec("fp8", new Float8Codes(), block, BlockCodec.Scaling.FLOOR);
    }
}
