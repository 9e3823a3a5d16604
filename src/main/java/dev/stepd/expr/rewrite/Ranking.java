package dev.stepd.expr.rewrite;

import static dev.stepd.expr.Expr.compare;
import static dev.stepd.expr.Expr.constant;
import static dev.stepd.expr.Expr.select;

import dev.stepd.expr.BinaryOp;
import dev.stepd.expr.CompareOp;
import dev.stepd.expr.Expr;
import dev.stepd.expr.ReduceOp;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;

/// `ranked(x, k) -> the bits of the result, from the highest down`: a bit is set where at least `k` numbers are no smaller than
/// with it. So ranking is counting, which any device does in any order, and ties decide nothing.
///
/// The `k`-th largest of `m` numbers, if it is negative, is minus the `m - k + 1`-th largest of `-x`; so only bits of positive
/// numbers are looked for, which are in the order of the numbers. Two bits at a time, that is 16 passes of f32 and 32 of f64.
record Ranking(Scope over, Expr values, Expr rank) {
    static Expr expand(Expr.Ranked node) {
        var x = node.x();
        var over = node.over();
        var numbers = count(over, compare(CompareOp.EQ, x, x));
        var notNegative = count(over, compare(CompareOp.LE, constant(x.type(), 0), x));
        var negative = compare(CompareOp.LT, notNegative, node.rank());
        var sign = select(negative, constant(-1), constant(1));
        var fromSmallest = numbers.minus(node.rank()).plus(1);
        var ranking = new Ranking(over, x.times(sign.as(x.type())), select(negative, fromSmallest, node.rank()));
        return ranking.magnitude().as(Type.F64).times(sign);
    }

    private static Expr count(Scope over, Expr condition) {
        return new Expr.Reduce(ReduceOp.SUM, over, select(condition, constant(1), constant(0)));
    }

    /// The `rank`-th largest of the values if that is no smaller than 0.
    private Expr magnitude() {
        int open = values.type() == Type.F32 ? 31 : 63;
        var found = constant(values.type(), 0);
        while (open > 0) {
            int taken = open % 2 == 1 ? 1 : 2;
            open -= taken;
            found = refined(found, taken, open);
        }
        return found;
    }

    /// The largest of what setting some of `taken` bits at `place` gives that enough values reach.
    private Expr refined(Expr found, int taken, int place) {
        var bits = new Expr.Bits(found);
        var refined = found;
        for (long digit = 1; digit < 1L << taken; digit++) {
            var set = new Expr.Const(bits.type(), digit << place);
            var candidate = new Expr.Bits(new Expr.Binary(BinaryOp.OR, bits, set));
            var reach = count(over, compare(CompareOp.LE, candidate, values));
            refined = select(compare(CompareOp.LE, rank, reach), candidate, refined);
        }
        return refined;
    }
}
