package dev.stepd.expr;

import java.util.EnumSet;
import java.util.Set;

/// What a program may contain at each point of its way from a rule to a kernel, as data. A pass that leaves something
/// illegal behind is a defect of stepd and found here, with the node printed, before any code is made of it.
public enum Legality {
    /// As rules write it: reals only.
    RULE(EnumSet.of(Kind.HYPER, Kind.REDUCE, Kind.FUNCTION), Set.of(Buffer.Kind.HOST, Buffer.Kind.TEMP)),
    /// With slots in the formats they are stored in.
    STORED(EnumSet.of(Kind.HYPER, Kind.REDUCE, Kind.FUNCTION, Kind.BITS), Set.of(Buffer.Kind.HOST, Buffer.Kind.TEMP)),
    /// Expanded: no functions but on the host.
    EXPANDED(EnumSet.of(Kind.HYPER, Kind.REDUCE, Kind.BITS), Set.of(Buffer.Kind.HOST, Buffer.Kind.TEMP)),
    /// The values of one pass over memory: arrays in, arrays or reductions out.
    KERNEL(EnumSet.of(Kind.BITS), Set.of());

    private enum Kind {
        /// Hyperparameters and counters.
        HYPER,
        REDUCE,
        /// Operations that are still to be expanded.
        FUNCTION,
        /// Integers, their operations, and tables.
        BITS
    }

    private final Set<Kind> allowed;
    private final Set<Buffer.Kind> excluded;

    Legality(Set<Kind> allowed, Set<Buffer.Kind> excluded) {
        this.allowed = allowed;
        this.excluded = excluded;
    }

    /// @throws IllegalStateException naming the first node that is not legal here
    public void check(Program program) {
        for (var node : program.nodes()) {
            check(node);
        }
    }

    private void check(Expr node) {
        boolean legal = switch (node) {
            case Expr.Hyper _, Expr.Counter _ -> allowed.contains(Kind.HYPER);
            case Expr.Reduce _, Expr.RunningSum _ -> allowed.contains(Kind.REDUCE);
            case Expr.Ranked _ -> allowed.contains(Kind.FUNCTION);
            case Expr.Unary(UnaryOp op, _) when op.hostOnly() -> node.host();
            case Expr.Unary(UnaryOp op, _) -> !op.expands() || node.host() || allowed.contains(Kind.FUNCTION);
            case Expr.Binary(BinaryOp op, _, _) when op.hostOnly() -> node.host();
            case Expr.Binary(BinaryOp op, _, _) -> !op.expands() || node.host() || allowed.contains(Kind.FUNCTION);
            case Expr.Read read -> !excluded.contains(read.buffer().kind());
            case Expr.Draw _ -> allowed.contains(Kind.FUNCTION) && allowed.contains(Kind.BITS);
            case Expr.Bits _, Expr.Lookup _, Expr.Index _ -> allowed.contains(Kind.BITS);
            case Expr.Const _, Expr.Fma _, Expr.Compare _, Expr.Select _, Expr.Convert _ -> true;
        };
        if (!legal || (node.type().isInteger() && !allowed.contains(Kind.BITS))) {
            throw new IllegalStateException("not legal in " + this + ": " + Printer.print(node));
        }
    }
}
