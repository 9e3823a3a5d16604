package dev.stepd.expr.rewrite;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program;

/// `slot <- slot` disappears: the array keeps what it holds, and the pass that would copy it need not run.
///
/// `delta <- grad` stays although they share memory: partial steps decide where it is written.
public final class DropUnchangedSlots implements Rewrite {
    @Override
    public Program apply(Program program) {
        return new Program(program.assignments().stream()
                .filter(a -> !(a.value() instanceof Expr.Read(var buffer) && buffer.equals(a.target())))
                .toList());
    }
}
