package dev.stepd.compiler;

import static dev.stepd.compiler.Agreement.slot;

import dev.stepd.expr.BinaryOp;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Interpreter.Extent;
import dev.stepd.expr.Program;
import dev.stepd.expr.ReduceOp;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.UnaryOp;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// Programs too long to be written out for a whole turn: one vector at a time, the same bits.
class LongKernelsTest {
    private static final List<Extent> TENSORS = List.of(
            new Extent(67, 1, 0, true, 1), new Extent(0, 3, 0, true, 1), new Extent(1500, 30, 0, true, 1),
            new Extent(35, 7, 1, false, 1), new Extent(2080, 2, 1, true, 1), new Extent(1, 1, 1, true, 1));

    @ParameterizedTest
    @EnumSource(value = Type.class, names = {"F32", "F64"})
    void agree(Type type) {
        var x = slot("x", Scope.ELEMENT, type);
        var y = slot("y", Scope.ELEMENT, type);
        var power = new Expr.Binary(BinaryOp.POW, new Expr.Unary(UnaryOp.ABS, x), y);
        var value = new Expr.Unary(UnaryOp.TANH, power).plus(new Expr.Unary(UnaryOp.EXP, y.times(x)));
        var assignments = new ArrayList<Program.Assignment>();
        assignments.add(Agreement.write(Scope.ELEMENT, value));
        for (var over : List.of(Scope.SESSION, Scope.GROUP, Scope.TENSOR, Scope.ROW, Scope.COLUMN, Scope.block(40))) {
            for (var op : ReduceOp.values()) {
                var target = new Buffer(Buffer.Kind.SLOT, op.name(), over, Type.F64);
                assignments.add(new Program.Assignment(target, new Expr.Reduce(op, over, value.as(Type.F64))));
            }
        }
        try (var agreement = new Agreement()) {
            agreement.check(new Program(assignments), TENSORS, World.Values.SPECIAL);
            agreement.check(new Program(assignments), TENSORS, World.Values.TAME);
        }
    }
}
