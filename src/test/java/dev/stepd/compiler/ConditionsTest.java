package dev.stepd.compiler;

import static dev.stepd.compiler.Agreement.slot;
import static dev.stepd.compiler.Agreement.write;
import static dev.stepd.expr.Expr.constant;

import dev.stepd.expr.BinaryOp;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.CompareOp;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Program;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Conditions meet values of their own scope and of finer ones, alone and joined with others.
@Tag("gpu")
class ConditionsTest {
    private static final Agreement AGREEMENT = new Agreement();
    private static final Expr CONSTANT = Expr.compare(CompareOp.LT, constant(1), constant(2));
    private static final Expr HOST = Expr.compare(CompareOp.LT, new Expr.Counter(), constant(9));

    @AfterAll
    static void close() {
        AGREEMENT.close();
    }

    private static Expr test(Scope scope, Type type) {
        return Expr.compare(CompareOp.LE, slot("a", scope, type), constant(0.01));
    }

    static List<Expr> values() {
        return List.of(
                slot("v", Scope.TENSOR, Type.F64),
                slot("v", Scope.ROW, Type.F32),
                slot("v", Scope.COLUMN, Type.F32),
                slot("v", Scope.ELEMENT, Type.F32),
                slot("v", Scope.ELEMENT, Type.F64));
    }

    @ParameterizedTest
    @MethodSource("values")
    void joinWithOthers(Expr value) {
        var conditions = List.of(
                CONSTANT,
                HOST,
                test(Scope.SESSION, Type.F64),
                test(Scope.GROUP, Type.F64),
                test(Scope.TENSOR, Type.F64),
                test(Scope.ROW, Type.F32),
                test(Scope.COLUMN, Type.F32),
                test(Scope.block(3), Type.F32),
                test(Scope.ELEMENT, Type.F32),
                test(Scope.ELEMENT, Type.F64));
        var assignments = new ArrayList<Program.Assignment>();
        for (var condition : conditions) {
            for (var joined : List.of(condition, new Expr.Binary(BinaryOp.AND, HOST, condition))) {
                var choice = choice(joined, value);
                var name = "result" + assignments.size();
                var target = new Buffer(Buffer.Kind.SLOT, name, choice.scope(), choice.type());
                assignments.add(new Program.Assignment(target, choice));
            }
        }
        var extents = World.tensors(new SplittableRandom(3), true, 30, 7, 0, 64, 12);
        AGREEMENT.check(new Program(assignments), extents, World.Values.TAME);
    }

    private static Expr choice(Expr condition, Expr value) {
        var joined = new Expr.Binary(BinaryOp.OR, condition, Expr.compare(CompareOp.LT, value, constant(-0.1)));
        return Expr.select(joined, value, value.negate());
    }

    /// A value of a tensor chosen by the host, where the tensors of a step disagree.
    @ParameterizedTest
    @MethodSource("scopes")
    void chooseWithinTheirOwnScope(Expr value) {
        var program = new Program(List.of(write(value.scope(), Expr.select(HOST, value, value.negate()))));
        AGREEMENT.check(program, World.tensors(new SplittableRandom(4), false, 5, 5, 5, 5, 5), World.Values.TAME);
    }

    static Stream<Expr> scopes() {
        return Stream.of(slot("v", Scope.TENSOR, Type.F64), slot("v", Scope.ELEMENT, Type.F64));
    }
}
