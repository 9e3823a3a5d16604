package dev.stepd.expr.rewrite;

import dev.stepd.expr.Legality;
import dev.stepd.expr.Program;
import java.util.List;

/// The rewrites between a program and its stages, in order.
public final class Rewrites {
    /// Functions are expanded before values are shared, so that what two expansions have in common is computed once;
    /// folding runs last as well, for constants that expansion brought together.
    private static final List<Rewrite> ORDER = List.of(
            new FoldConstants(),
            new DropUnchangedSlots(),
            new ExpandFunctions(),
            new FoldConstants(),
            new ShareSubexpressions());

    private Rewrites() {}

    /// A program made ready for staging: a rule's, or what formats of slots made of it.
    public static Program expand(Program program) {
        Legality.STORED.check(program);
        for (var rewrite : ORDER) {
            program = rewrite.apply(program);
        }
        Legality.EXPANDED.check(program);
        return program;
    }
}
