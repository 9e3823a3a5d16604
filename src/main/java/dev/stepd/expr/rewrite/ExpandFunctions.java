package dev.stepd.expr.rewrite;

import static dev.stepd.expr.Expr.compare;
import static dev.stepd.expr.Expr.constant;
import static dev.stepd.expr.Expr.select;

import dev.stepd.expr.BinaryOp;
import dev.stepd.expr.CompareOp;
import dev.stepd.expr.Draws;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Program;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.UnaryOp;

/// `exp(x) -> range reduction and a polynomial`, likewise log, tanh and pow, `min`, `max`, `sign` as selects, ranking as
/// counting, so that no device's library decides a last digit, and random draws as the arithmetic they are. What the host
/// computes stays: it has one library everywhere, `StrictMath`.
///
/// `max(a, b) -> select(a < b, b, a)` would lose a NaN in `b`; here NaN wins on either side.
public final class ExpandFunctions implements Rewrite {
    @Override
    public Program apply(Program program) {
        return Rewrite.bottomUp(program, node -> node.host() ? node : expand(node));
    }

    private static Expr expand(Expr node) {
        return switch (node) {
            case Expr.Unary(UnaryOp op, Expr x) -> switch (op) {
                case SIGN -> sign(x);
                case EXP -> Exponential.exp(x);
                case LOG -> Logarithm.log(x);
                case TANH -> HyperbolicTangent.tanh(x);
                case NEG, ABS, SQRT, COS, SIN -> node;
            };
            case Expr.Binary(BinaryOp op, Expr a, Expr b) -> switch (op) {
                case MIN -> either(compare(CompareOp.LE, a, b), a, b);
                case MAX -> either(compare(CompareOp.LE, b, a), a, b);
                case POW -> pow(a, b);
                case ADD, SUB, MUL, DIV, MOD, MIX, AND, OR, XOR, SHL, SHR -> node;
            };
            case Expr.Ranked ranked -> Ranking.expand(ranked);
            case Expr.Draw(String stream) -> draw(stream);
            case Expr.Const _, Expr.Hyper _, Expr.Counter _, Expr.Index _, Expr.Read _, Expr.Fma _ -> node;
            case Expr.Compare _, Expr.Select _, Expr.Convert _, Expr.Bits _, Expr.Lookup _, Expr.Reduce _,
                    Expr.RunningSum _ -> node;
        };
    }

    /// The first of two values where it wins the comparison or is NaN, else the second. The comparison is false for a
    /// NaN in either, so the first's own is asked for.
    private static Expr either(Expr wins, Expr first, Expr second) {
        return select(wins, first, select(compare(CompareOp.EQ, first, first), second, first));
    }

    /// [Draws#draw], the keys on the host.
    private static Expr draw(String stream) {
        var seed = new Expr.Hyper(Draws.SEED, Scope.SESSION);
        var name = constant(Draws.name(stream));
        var a = new Expr.Binary(BinaryOp.MIX, new Expr.Binary(BinaryOp.MIX, seed, name), new Expr.Counter());
        var b = new Expr.Binary(BinaryOp.MIX, new Expr.Binary(BinaryOp.MIX, name, seed), new Expr.Counter());
        var start = new Expr.Binary(BinaryOp.XOR, new Expr.Index(), a.as(Type.I32));
        var x = mix(Draws.FIRST, start).plus(b.as(Type.I32));
        return mix(Draws.LAST, mix(Draws.THIRD, mix(Draws.SECOND, x)));
    }

    private static Expr mix(Draws.Round round, Expr x) {
        var shifted = new Expr.Binary(BinaryOp.SHR, x, Expr.integer(round.shift()));
        var folded = new Expr.Binary(BinaryOp.XOR, x, shifted);
        return round.factor() == 1 ? folded : folded.times(Expr.integer(round.factor()));
    }

    private static Expr sign(Expr x) {
        var one = constant(x.type(), 1);
        var zero = constant(x.type(), 0);
        return select(compare(CompareOp.LT, zero, x), one, select(compare(CompareOp.LT, x, zero), one.negate(), x));
    }

    /// `exp(y log x)` in f64. Error below 0.51 units in the last place for f32; for f64 it grows as the exponent does, below
    /// `2 (1 + |y log x|)` units.
    private static Expr pow(Expr x, Expr y) {
        var base = x.as(Type.F64);
        var exponent = y.as(Type.F64);
        var power = Exponential.exp(exponent.times(Logarithm.log(base)));
        var one = constant(1);
        var unlessOne = select(compare(CompareOp.EQ, base, one), one, power);
        return select(compare(CompareOp.EQ, exponent, constant(0)), one, unlessOne).as(x.type());
    }
}
