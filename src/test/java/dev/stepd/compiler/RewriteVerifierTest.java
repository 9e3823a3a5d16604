package dev.stepd.compiler;

import static dev.stepd.compiler.RewriteVerifier.keepsBits;

import dev.stepd.expr.Program;
import dev.stepd.expr.Type;
import dev.stepd.expr.rewrite.ChooseByHost;
import dev.stepd.expr.rewrite.DropUnchangedSlots;
import dev.stepd.expr.rewrite.ExpandFunctions;
import dev.stepd.expr.rewrite.FoldConstants;
import dev.stepd.expr.rewrite.ShareSubexpressions;
import java.util.SplittableRandom;
import java.util.stream.LongStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Every rewrite on programs nobody wrote. `-Dstepd.programs=N` runs N seeds, `-Dstepd.seed=S` starts with seed S.
class RewriteVerifierTest {
    static LongStream seeds() {
        long first = Long.getLong("stepd.seed", 1);
        return LongStream.range(first, first + Integer.getInteger("stepd.programs", 60));
    }

    private record Case(Program program, World world) {
        static Case of(long seed) {
            var random = new SplittableRandom(seed);
            var programs = new Programs(random, random.nextInt(4) == 0 ? Type.F64 : Type.F32, 3, 10);
            var program = programs.next(3 + random.nextInt(3), 4);
            var values = random.nextBoolean() ? World.Values.SPECIAL : World.Values.TAME;
            var extents = World.tensors(random, true, 12, 0, 35, 1);
            return new Case(program, World.random(random, extents, programs.buffers(), values));
        }
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void eachKeepsEveryBit(long seed) {
        var program = Case.of(seed).program;
        var world = Case.of(seed).world;
        keepsBits(new DropUnchangedSlots(), program, world);
        keepsBits(new ShareSubexpressions(), program, world);
        keepsBits(ChooseByHost::undecided, program, world);
        var folded = keepsBits(new FoldConstants(), program, world);
        // Expansion replaces a library's last digits by its own; from then on no digit changes.
        var expanded = new ExpandFunctions().apply(folded);
        keepsBits(new ShareSubexpressions(), expanded, world);
        keepsBits(new ShareSubexpressions(), keepsBits(new FoldConstants(), expanded, world), world);
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void whatTheHostDecidesIsWhatSelectsGive(long seed) {
        var program = Case.of(seed).program;
        var world = RewriteVerifier.agreeing(Case.of(seed).world);
        long outcome = RewriteVerifier.outcome(program, world);
        keepsBits(p -> ChooseByHost.decided(p, outcome), program, world);
    }
}
