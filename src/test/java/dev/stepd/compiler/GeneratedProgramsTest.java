package dev.stepd.compiler;

import dev.stepd.expr.Interpreter;
import dev.stepd.expr.Type;
import java.util.List;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Programs nobody wrote, interpreted and compiled: every bit of every array agrees, whatever the width of vectors and the
/// number of threads. `-Dstepd.programs=N` runs N seeds instead of a handful, `-Dstepd.seed=S` starts with seed S.
@Tag("gpu")
class GeneratedProgramsTest {
    private static final Agreement AGREEMENT = new Agreement();

    @AfterAll
    static void close() {
        AGREEMENT.close();
    }

    static LongStream seeds() {
        long first = Long.getLong("stepd.seed", 1);
        return LongStream.range(first, first + Integer.getInteger("stepd.programs", 40));
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void compiledIsInterpreted(long seed) {
        var random = new SplittableRandom(seed);
        int block = random.nextBoolean() ? 16 << random.nextInt(3) : 1 + random.nextInt(40);
        var programs = new Programs(random, random.nextInt(4) == 0 ? Type.F64 : Type.F32, 4, block);
        var program = programs.next(3 + random.nextInt(3), 3);
        var values = random.nextInt(3) == 0 ? World.Values.SPECIAL : World.Values.TAME;
        var world = World.random(random, tensors(random), programs.buffers(), values);
        AGREEMENT.check("seed " + seed, program, world);
    }

    /// The sizes around vectors of 4, 8 and 16 lanes, or a few of anything.
    private static List<Interpreter.Extent> tensors(RandomGenerator random) {
        if (random.nextInt(3) == 0) {
            return World.tensors(random, random.nextBoolean(), 0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 19, 35, 67, 0);
        }
        return World.tensors(random, random.nextBoolean(), random.ints(1 + random.nextInt(4), 0, 200).toArray());
    }

    /// More than a chunk of a reduction, more than a piece of a pass, rows and blocks across both.
    @ParameterizedTest(name = "seed {0}")
    @ValueSource(longs = {1, 2, 3})
    void longTensorsToo(long seed) {
        var random = new SplittableRandom(seed);
        var programs = new Programs(random, Type.F32, 256, seed == 3 ? 7 : 1500);
        var program = programs.next(3, 1);
        var extents = World.tensors(random, true, 1025, 2047, seed == 1 ? 66_001 : 5000, 4100);
        AGREEMENT.check("seed " + seed, program, World.random(random, extents, programs.buffers(), World.Values.TAME));
    }
}
