package dev.stepd.expr.rewrite;

import dev.stepd.expr.BinaryOp;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Expr.Const;
import dev.stepd.expr.Program;
import dev.stepd.expr.Scalar;
import dev.stepd.expr.Table;
import dev.stepd.expr.Type;

/// `op(constants) -> constant`, `select(constant, a, b) -> a or b`, `true & c -> c`, `true | c -> true` and so on: no
/// constant condition is left.
///
/// Nothing else is safe: `x + 0` is not `x` for x = -0.0, `x * 1` is `x` but `x * 0` is not 0 for NaN and infinities,
/// and `(x + 1) + 2` is not `x + 3`.
public final class FoldConstants implements Rewrite {
    @Override
    public Program apply(Program program) {
        return Rewrite.bottomUp(program, FoldConstants::fold);
    }

    private static Expr fold(Expr node) {
        return switch (node) {
            case Expr.Unary(var op, Const x) -> new Const(x.type(), Scalar.unary(op, x.type(), x.bits()));
            case Expr.Binary(var op, Const a, Const b) ->
                new Const(a.type(), Scalar.binary(op, a.type(), a.bits(), b.bits()));
            case Expr.Binary(var op, Const a, Expr b) when a.type() == Type.BOOL -> decide(op, a, b);
            case Expr.Binary(var op, Expr a, Const b) when b.type() == Type.BOOL -> decide(op, b, a);
            case Expr.Fma(Const a, Const b, Const c) ->
                new Const(a.type(), Scalar.fma(a.type(), a.bits(), b.bits(), c.bits()));
            case Expr.Compare(var op, Const a, Const b) ->
                new Const(Type.BOOL, Scalar.compare(op, a.type(), a.bits(), b.bits()) ? 1 : 0);
            case Expr.Select(Const condition, Expr then, Expr otherwise) -> condition.bits() != 0 ? then : otherwise;
            case Expr.Convert(Type type, Const x) -> new Const(type, Scalar.convert(x.type(), type, x.bits()));
            case Expr.Bits(Const x) -> new Const(x.type().twin(), Scalar.twin(x.type(), x.bits()));
            case Expr.Lookup(Table table, Const x) -> new Const(table.type(), table.at((int) x.bits()));
            case Expr.Const _, Expr.Hyper _, Expr.Counter _, Expr.Index _, Expr.Draw _, Expr.Read _ -> node;
            case Expr.Unary _, Expr.Binary _, Expr.Fma _, Expr.Compare _, Expr.Select _ -> node;
            case Expr.Convert _, Expr.Bits _, Expr.Ranked _, Expr.RunningSum _, Expr.Lookup _, Expr.Reduce _ -> node;
        };
    }

    /// A condition joined with a known one.
    private static Expr decide(BinaryOp op, Const known, Expr other) {
        boolean decides = (known.bits() != 0) == (op == BinaryOp.OR);
        return decides ? known : other;
    }
}
