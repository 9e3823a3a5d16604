package dev.stepd.expr.codec;

import dev.stepd.expr.BinaryOp;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.CompareOp;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Type;
import dev.stepd.expr.UnaryOp;

/// The vocabulary of formats: bits of f32 values.
final class Words {
    static final int SIGN = 0x80000000;

    private Words() {}

    static Expr whole(int value) {
        return Expr.integer(value);
    }

    static Expr real(double value) {
        return Expr.constant(Type.F32, value);
    }

    static Expr bits(Expr x) {
        return new Expr.Bits(x);
    }

    static Expr abs(Expr x) {
        return new Expr.Unary(UnaryOp.ABS, x);
    }

    static Expr and(Expr x, int mask) {
        return new Expr.Binary(BinaryOp.AND, x, whole(mask));
    }

    static Expr or(Expr a, Expr b) {
        return new Expr.Binary(BinaryOp.OR, a, b);
    }

    static Expr xor(Expr a, Expr b) {
        return new Expr.Binary(BinaryOp.XOR, a, b);
    }

    static Expr left(Expr x, int distance) {
        return new Expr.Binary(BinaryOp.SHL, x, whole(distance));
    }

    static Expr right(Expr x, int distance) {
        return new Expr.Binary(BinaryOp.SHR, x, whole(distance));
    }

    static Expr less(Expr a, Expr b) {
        return Expr.compare(CompareOp.LT, a, b);
    }

    static Expr atMost(Expr a, Expr b) {
        return Expr.compare(CompareOp.LE, a, b);
    }

    static Expr oneIf(Expr condition) {
        return Expr.select(condition, whole(1), whole(0));
    }

    /// `otherwise` where `x` is NaN: of NaN there are many patterns, and which one an operation makes is nobody's promise.
    static Expr unlessNaN(Expr x, Expr value, Expr otherwise) {
        return Expr.select(Expr.compare(CompareOp.EQ, x, x), value, otherwise);
    }

    /// The bits of a pattern without its last `dropped`, rounded to nearest, ties to even.
    static Expr rounded(Expr pattern, int dropped) {
        var half = pattern.plus(whole((1 << dropped - 1) - 1));
        return right(half.plus(and(right(pattern, dropped), 1)), dropped);
    }

    /// A slot's array of small integers.
    static Buffer stored(Buffer slot, Type storage) {
        return new Buffer(slot.kind(), slot.name(), slot.scope(), storage);
    }
}
