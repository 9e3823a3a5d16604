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
/// numbers are looked for, which are in the order of the numbers. That is a pass for each bit; several bits a pass would be several
/// counts a pass, which takes as long.
record Ranking(Scope over, Expr values, Expr rank) {
    static Expr expand(Expr.Ranked node) {
        var x = node.x();
        var over = node.over();
        var numbers = count(over, new Expr.Compare(CompareOp.EQ, x, x));
        var notNegative = count(over, atMost(constant(x.type(), 0), x));
        var negative = compare(CompareOp.LT, notNegative, node.rank());
        var sign = select(negative, constant(-1), constant(1));
        var fromSmallest = numbers.minus(node.rank()).plus(1);
        var ranking = new Ranking(over, x.times(sign.as(x.type())), select(negative, fromSmallest, node.rank()));
        return ranking.magnitude().times(sign);
    }

    /// How many values a comparison holds for. They choose between values of the type they compare: the masks of one type are
    /// no masks of the other.
    private static Expr count(Scope over, Expr.Compare holds) {
        var type = holds.a().type();
        var each = select(holds, constant(type, 1), constant(type, 0));
        return new Expr.Reduce(ReduceOp.SUM, over, each.as(Type.F64));
    }

    private static Expr.Compare atMost(Expr a, Expr b) {
        return new Expr.Compare(CompareOp.LE, a, b);
    }

    /// The `rank`-th largest of the values if that is no smaller than 0.
    private Expr magnitude() {
        var found = constant(0);
        for (int bit = 8 * values.type().bytes() - 2; bit >= 0; bit--) {
            found = refined(found, bit);
        }
        return found;
    }

    /// What is found so far with one more bit, if enough values reach that.
    private Expr refined(Expr found, int bit) {
        var bits = new Expr.Bits(found.as(values.type()));
        var set = new Expr.Const(bits.type(), 1L << bit);
        var candidate = new Expr.Bits(new Expr.Binary(BinaryOp.OR, bits, set));
        var reach = count(over, atMost(candidate, values));
        return select(atMost(rank, reach), candidate.as(Type.F64), found);
    }
}
