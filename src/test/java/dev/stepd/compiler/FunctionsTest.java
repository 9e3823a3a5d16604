package dev.stepd.compiler;

import static dev.stepd.compiler.Agreement.slot;

import dev.stepd.expr.BinaryOp;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Program;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.UnaryOp;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// Every operation of one kind after the other, alone in a program, over ordinary and special values: compiled is interpreted.
@Tag("gpu")
class FunctionsTest {
    private static final Agreement AGREEMENT = new Agreement();

    @AfterAll
    static void close() {
        AGREEMENT.close();
    }

    @ParameterizedTest
    @EnumSource(value = Type.class, names = {"F32", "F64"})
    void eachOperationIsItself(Type type) {
        var x = slot("x", Scope.ELEMENT, type);
        var y = slot("y", Scope.ELEMENT, type);
        var values = new ArrayList<Expr>();
        for (var op : UnaryOp.values()) {
            if (!op.hostOnly()) {
                values.add(new Expr.Unary(op, x));
            }
        }
        for (var op : BinaryOp.values()) {
            if (op.takes(Type.F32) && !op.hostOnly()) {
                values.add(new Expr.Binary(op, x, y));
            }
        }
        values.add(new Expr.Fma(x, y, x));
        values.add(x.as(type == Type.F32 ? Type.F64 : Type.F32));
        for (var value : values) {
            var program = new Program(List.of(Agreement.write(Scope.ELEMENT, value)));
            AGREEMENT.check(program, World.tensors(new SplittableRandom(1), false, 700, 3), World.Values.SPECIAL);
        }
    }
}
