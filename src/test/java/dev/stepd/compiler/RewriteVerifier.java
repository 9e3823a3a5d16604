package dev.stepd.compiler;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Interpreter;
import dev.stepd.expr.Program;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.rewrite.ChooseByHost;
import dev.stepd.expr.rewrite.Rewrite;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;

/// Holds rewrites to their promise: the interpreter cannot tell a program from what became of it.
final class RewriteVerifier {
    private RewriteVerifier() {}

    /// The rewritten program, which leaves every array with the same bits.
    static Program keepsBits(Rewrite rewrite, Program program, World world) {
        var rewritten = rewrite.apply(program);
        var before = world.interpreted(program);
        assertThat(before.differences(world.interpreted(rewritten)))
                .as("%s%nbecame%n%s", program, rewritten)
                .isEmpty();
        return rewritten;
    }

    /// What the host decides for the first tensor.
    static long outcome(Program program, World world) {
        var conditions = ChooseByHost.conditions(program);
        long outcome = 0;
        for (int i = 0; i < conditions.size(); i++) {
            var decided = new Buffer(Buffer.Kind.SLOT, "decided", Scope.TENSOR, Type.F64);
            var value = Expr.select(conditions.get(i), Expr.constant(1), Expr.constant(0));
            var arrays = new LinkedHashMap<>(world.arrays());
            arrays.put(decided, new long[world.extents().size()]);
            var after = new World(world.extents(), world.hypers(), arrays)
                    .interpreted(new Program(List.of(new Program.Assignment(decided, value))));
            outcome |= after.arrays().get(decided)[0] != 0 ? 1L << i : 0;
        }
        return outcome;
    }

    /// The world with all tensors present, in one group and at one step: tensors that agree on everything the host decides.
    static World agreeing(World world) {
        var extents = new ArrayList<Interpreter.Extent>();
        for (var extent : world.extents()) {
            extents.add(new Interpreter.Extent(
                    extent.elements(), extent.slabs(), extent.rows(), 0, true, world.extents().getFirst().step(), extent.origin()));
        }
        var arrays = new LinkedHashMap<>(world.arrays());
        arrays.replaceAll((buffer, array) ->
                buffer.scope().equals(Scope.GROUP) ? java.util.Arrays.copyOf(array, 1) : array);
        return new World(extents, world.hypers(), arrays);
    }
}
