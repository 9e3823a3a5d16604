package dev.stepd.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// A GPU decides anew in each run in which order blocks and streams go on; none of it shows.
@Tag("gpu")
class RepeatedOnCudaTest {
    private static final int REPEATS = 20;
    private static final int STEPS = 3;
    private static final int THREADS = 8;
    private static final int SESSIONS = 4 * THREADS;

    static Stream<Map<String, Object>> optimizers() {
        return CudaSubjects.some();
    }

    @ParameterizedTest
    @MethodSource("optimizers")
    void everyRunEndsAlike(Map<String, Object> optimizer) {
        var first = run(optimizer, 5);
        for (int i = 1; i < REPEATS; i++) {
            assertThat(run(optimizer, 5)).as("run %d", i).isEqualTo(first);
        }
    }

    /// Sessions of different optimizers and gradients, each alone and then all over one another.
    @Test
    void sessionsSideBySideEndAsAlone() throws Exception {
        var work = new ArrayList<Callable<String>>();
        var optimizers = optimizers().toList();
        for (int i = 0; i < SESSIONS; i++) {
            long seed = i;
            var optimizer = optimizers.get(i % optimizers.size());
            work.add(() -> run(optimizer, seed));
        }
        var alone = new ArrayList<String>();
        for (var one : work) {
            alone.add(one.call());
        }
        try (var threads = Executors.newFixedThreadPool(THREADS)) {
            assertThat(results(threads.invokeAll(work))).isEqualTo(alone).doesNotHaveDuplicates();
        }
    }

    private static List<String> results(List<Future<String>> done) throws Exception {
        var results = new ArrayList<String>();
        for (var one : done) {
            results.add(one.get());
        }
        return results;
    }

    private static String run(Map<String, Object> optimizer, long seed) {
        try (var training = new BulkTraining(CudaSubjects.device(), CudaSubjects.tensors(), optimizer, seed)) {
            training.steps(STEPS);
            return training.digest();
        }
    }
}
