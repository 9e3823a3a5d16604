package dev.stepd.compiler;

import static dev.stepd.compiler.Agreement.slot;
import static dev.stepd.compiler.Agreement.write;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import java.time.Duration;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// A value used twice costs once: the paths through these graphs are 2^60, their nodes 60.
@Tag("gpu")
class SharedGraphsTest {
    static List<Expr> leaves() {
        return List.of(
                slot("a", Scope.ELEMENT, Type.F32), slot("a", Scope.TENSOR, Type.F64), new Expr.Hyper("beta"));
    }

    @ParameterizedTest
    @MethodSource("leaves")
    void compileInLinearTime(Expr leaf) {
        var chain = leaf;
        for (int i = 0; i < 60; i++) {
            chain = chain.plus(chain).times(0.5);
        }
        var program = new Program(List.of(write(leaf.scope(), chain)));
        var extents = World.tensors(new SplittableRandom(1), false, 5, 20);
        Assertions.assertTimeoutPreemptively(Duration.ofSeconds(20), () -> {
            try (var agreement = new Agreement()) {
                agreement.check(program, extents, World.Values.TAME);
            }
        });
    }
}
