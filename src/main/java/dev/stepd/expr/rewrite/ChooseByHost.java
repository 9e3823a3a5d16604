package dev.stepd.expr.rewrite;

import dev.stepd.expr.CompareOp;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Program;
import java.util.ArrayList;
import java.util.List;

/// `select(condition the host knows, a, b) -> a or b`, as the host decides before a step: one program for each outcome.
///
/// Where the tensors of a step do not agree (a tensor that missed steps is still warming up), [#undecided] keeps the
/// select and turns its condition into a number the host passes in; a select is exact, so the bits are the same.
public final class ChooseByHost {
    private ChooseByHost() {}

    /// The conditions that choose between values the host does not know, in order of appearance.
    public static List<Expr> conditions(Program program) {
        var conditions = new ArrayList<Expr>();
        for (var node : program.nodes()) {
            if (chosen(node) && !conditions.contains(((Expr.Select) node).condition())) {
                conditions.add(((Expr.Select) node).condition());
            }
        }
        return conditions;
    }

    /// The program for one outcome.
    ///
    /// @param outcomes bit `i` is set when the `i`-th of the [#conditions] holds
    public static Program decided(Program program, long outcomes) {
        var conditions = conditions(program);
        return Rewrite.bottomUp(program, node -> {
            if (!chosen(node)) {
                return node;
            }
            var select = (Expr.Select) node;
            return (outcomes >>> conditions.indexOf(select.condition()) & 1) != 0 ? select.then() : select.otherwise();
        });
    }

    /// The program that decides value by value.
    public static Program undecided(Program program) {
        return Rewrite.bottomUp(program, node -> {
            if (!chosen(node)) {
                return node;
            }
            var select = (Expr.Select) node;
            var one = Expr.constant(1);
            var flag = new Expr.Select(select.condition(), one, Expr.constant(0));
            var test = Expr.compare(CompareOp.EQ, flag.as(select.type()), one);
            return new Expr.Select(test, select.then(), select.otherwise());
        });
    }

    private static boolean chosen(Expr node) {
        return node instanceof Expr.Select select && select.condition().host() && !select.host();
    }
}
