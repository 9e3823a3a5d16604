package dev.stepd.expr.codec;

import static dev.stepd.expr.codec.Words.abs;
import static dev.stepd.expr.codec.Words.less;
import static dev.stepd.expr.codec.Words.real;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.CompareOp;
import dev.stepd.expr.Expr;
import dev.stepd.expr.ReduceOp;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import java.util.List;

/// Small codes with an f32 scale for each block of elements: Dettmers et al., *8-bit Optimizers via Block-wise Quantization*,
/// 2022, arXiv:2110.02861. The array `<slot>.scale` holds the scales.
///
/// A block that holds NaN or infinity has the scale NaN, and so is NaN throughout.
///
/// @param block elements that share a scale
record BlockCodec(String name, Codes codes, int block, Scaling scaling) implements Codec {
    /// How the largest magnitude of a block becomes its scale.
    enum Scaling {
        /// The scale is the largest magnitude, 0 of a block of zeros, and values are multiplied by its inverse, that of `1e-38`
        /// where it is less: as bitsandbytes.
        INVERSE,
        /// The scale is the largest magnitude, but at least `1e-12`, over the largest code, and values are divided by it: as
        /// torchao.
        FLOOR
    }

    private static final float INVERSE_MIN = 1e-38f;
    private static final float FLOOR_MIN = 1e-12f;

    @Override
    public List<Buffer> arrays(Buffer slot) {
        return List.of(Words.stored(slot, codes.storage()), scale(slot));
    }

    private Buffer scale(Buffer slot) {
        return new Buffer(slot.kind(), slot.name() + ".scale", Scope.block(block), Type.F32);
    }

    @Override
    public Expr decode(Buffer slot) {
        var arrays = arrays(slot);
        return codes.decode(new Expr.Read(arrays.getFirst())).times(new Expr.Read(arrays.getLast()));
    }

    @Override
    public List<Expr> encode(Buffer slot, Expr value) {
        var largest = largest(value);
        var finite = largest.plus(largest.minus(largest)); // infinity becomes NaN
        return switch (scaling) {
            case INVERSE -> {
                var inverse = real(1).over(atLeast(finite, INVERSE_MIN));
                yield List.of(codes.encode(value.times(inverse)), finite);
            }
            case FLOOR -> {
                var floored = atLeast(finite, FLOOR_MIN);
                var scale = codes.top() == 1 ? floored : floored.over(real(codes.top()));
                yield List.of(codes.encode(value.over(scale)), scale);
            }
        };
    }

    /// A slot of zeros has the scale 0, so that it is one whatever its codes are.
    @Override
    public List<Expr> encodeNearest(Buffer slot, Expr value) {
        var encoded = encode(slot, value);
        var zero = Expr.compare(CompareOp.EQ, largest(value), real(0));
        return List.of(encoded.getFirst(), Expr.select(zero, real(0), encoded.getLast()));
    }

    /// The largest magnitude of each block. A value that is one for several blocks, such as the zero a slot is reset to, is its own.
    private Expr largest(Expr value) {
        var over = Scope.block(block);
        if (value.scope().coarserThan(over)) {
            return abs(value);
        }
        return new Expr.Reduce(ReduceOp.MAX, over, abs(value.scope().isElement() ? value : ofElements(value)));
    }

    /// A row's or column's value as one for each of its elements, which blocks are made of.
    private static Expr ofElements(Expr value) {
        var index = new Expr.Index();
        return new Expr.Select(Expr.compare(CompareOp.EQ, index, index), value, value);
    }

    /// NaN stays.
    private static Expr atLeast(Expr x, float least) {
        return Expr.select(less(x, real(least)), real(least), x);
    }
}
