package dev.stepd.expr.codec;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.compiler.Agreement;
import dev.stepd.compiler.World;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.CompareOp;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Interpreter.Extent;
import dev.stepd.expr.Program;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.ReduceOp;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.rewrite.ChooseByHost;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Programs over slots in every format do what they say, whatever else they read and however tensors are shaped.
@Tag("gpu")
class StoreSlotsTest {
    private static final Buffer SLOT = Coded.SLOT;
    private static final Expr OLD = new Expr.Read(SLOT);
    private static final Expr GRAD = new Expr.Read(new Buffer(Buffer.Kind.GRAD, "grad", Scope.ELEMENT, Type.F32));
    private static final Buffer DELTA = new Buffer(Buffer.Kind.DELTA, "delta", Scope.ELEMENT, Type.F32);

    /// Long, odd, empty, absent, in two groups, declared in another order.
    private static final List<Extent> TENSORS = List.of(
            new Extent(35, 1, 7, 0, true, 1, 4000),
            new Extent(0, 1, 3, 0, true, 1, 100),
            new Extent(2100, 1, 1, 0, false, 2, 200),
            new Extent(1311, 1, 3, 0, true, 4, 2300),
            new Extent(600, 1, 200, 1, true, 3, 5000),
            new Extent(1, 1, 1, 1, true, 3, 99));

    static Stream<Codec> codecs() {
        return Formats.NAMES.stream().flatMap(name ->
                Stream.of(true, false).map(signed -> Formats.find(name, signed).orElseThrow()));
    }

    private static Program stored(Codec codec, Program program) {
        return new StoreSlots(Map.of(SLOT, codec)).apply(program);
    }

    private static void agree(Codec codec, Program program) {
        var stored = stored(codec, program);
        var buffers = new LinkedHashSet<>(stored.reads());
        stored.assignments().forEach(a -> buffers.add(a.target()));
        buffers.removeIf(buffer -> buffer.kind() == Buffer.Kind.EXTENT);
        var world = World.random(new SplittableRandom(3), TENSORS, buffers, World.Values.TAME);
        try (var agreement = new Agreement()) {
            agreement.check(codec.name(), stored, world);
        }
    }

    @ParameterizedTest
    @MethodSource("codecs")
    void aRunningMeanAgrees(Codec codec) {
        var mean = OLD.times(0.9).plus(GRAD.times(0.1));
        agree(codec, new Program(List.of(new Assignment(SLOT, mean), new Assignment(DELTA, mean.over(mean.plus(3))))));
    }

    /// Values of other scopes cut the runs of blocks, and of bytes.
    @ParameterizedTest
    @MethodSource("codecs")
    void otherScopesMayMeet(Codec codec) {
        var assignments = new ArrayList<Assignment>();
        var mean = OLD.times(0.9).plus(GRAD);
        for (var scope : List.of(Scope.TENSOR, Scope.ROW, Scope.COLUMN, Scope.block(3), Scope.SESSION)) {
            var sum = new Expr.Reduce(ReduceOp.SUM, scope, OLD.as(Type.F64).squared());
            mean = mean.plus(sum.times(0.01));
            assignments.add(Agreement.write(scope, sum));
        }
        assignments.add(new Assignment(SLOT, mean));
        agree(codec, new Program(assignments));
    }

    /// A slot may become what is one for many elements.
    @ParameterizedTest
    @MethodSource("codecs")
    void coarseValuesAreStored(Codec codec) {
        var row = Agreement.slot("row", Scope.ROW, Type.F32);
        var tensor = Agreement.slot("tensor", Scope.TENSOR, Type.F64).as(Type.F32);
        for (var value : List.of(Expr.constant(Type.F32, 0), Expr.constant(Type.F32, -0.3), tensor, row)) {
            agree(codec, new Program(List.of(new Assignment(SLOT, value), new Assignment(DELTA, OLD.plus(GRAD)))));
        }
    }

    @Test
    void whatStaysKeepsItsCodes() {
        var codec = Formats.int8(true, 256);
        var unchanged = new Program(List.of(new Assignment(SLOT, OLD), new Assignment(DELTA, OLD.plus(GRAD))));
        assertThat(stored(codec, unchanged).assignments()).extracting(Assignment::target).containsExactly(DELTA);
        var first = Expr.compare(CompareOp.EQ, new Expr.Counter(), Expr.constant(1));
        var later = new Program(List.of(new Assignment(SLOT, Expr.select(first, GRAD, OLD))));
        var stored = stored(codec, later);
        var kept = ChooseByHost.decided(stored, 0);
        for (var assignment : kept.assignments()) {
            assertThat(assignment.value()).isEqualTo(new Expr.Read(assignment.target()));
        }
        var taken = ChooseByHost.decided(stored, 1);
        var encoded = stored(codec, new Program(List.of(new Assignment(SLOT, GRAD))));
        assertThat(taken.toString()).isEqualTo(encoded.toString());
        agree(codec, later);
    }

    /// Slots that are not named are left alone.
    @Test
    void othersStay() {
        var other = new Buffer(Buffer.Kind.SLOT, "other", Scope.ELEMENT, Type.F32);
        var program = new Program(List.of(new Assignment(other, new Expr.Read(other).plus(OLD))));
        assertThat(new StoreSlots(Map.of()).apply(program).toString()).isEqualTo(program.toString());
        var stored = stored(Formats.int8(true, 256), program);
        assertThat(stored.assignments()).extracting(Assignment::target).containsExactly(other);
        assertThat(stored.reads()).contains(new Buffer(Buffer.Kind.SLOT, "m.scale", Scope.block(256), Type.F32));
    }
}
