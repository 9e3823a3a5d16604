package dev.stepd.compiler;

import static dev.stepd.compiler.Agreement.slot;
import static dev.stepd.expr.Expr.constant;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.expr.BinaryOp;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Legality;
import dev.stepd.expr.Program;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.UnaryOp;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Operations that only the host has take part in programs as numbers, and are refused of what the host does not know.
@Tag("gpu")
class HostOperationsTest {
    private static final Expr VALUE = slot("x", Scope.ELEMENT, Type.F32);

    static Stream<Expr> known() {
        var t = new Expr.Counter();
        return Stream.of(new Expr.Unary(UnaryOp.COS, t), new Expr.Unary(UnaryOp.SIN, t), Expr.binary(BinaryOp.MOD, t, constant(3)));
    }

    @ParameterizedTest
    @MethodSource("known")
    void joinWithElements(Expr known) {
        try (var agreement = new Agreement()) {
            var program = new Program(List.of(Agreement.write(Scope.ELEMENT, known.times(VALUE))));
            agreement.check(program, World.tensors(new SplittableRandom(1), false, 7, 3), World.Values.SPECIAL);
        }
    }

    static Stream<Expr> unknown() {
        return Stream.of(
                new Expr.Unary(UnaryOp.COS, VALUE), new Expr.Unary(UnaryOp.SIN, VALUE), Expr.binary(BinaryOp.MOD, VALUE, constant(3)));
    }

    @ParameterizedTest
    @MethodSource("unknown")
    void areRefusedOfElements(Expr unknown) {
        var program = new Program(List.of(Agreement.write(Scope.ELEMENT, unknown)));
        assertThatThrownBy(() -> Legality.RULE.check(program)).hasMessageContaining("not legal in RULE");
    }
}
