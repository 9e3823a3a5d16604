package dev.stepd.engine;

import dev.stepd.device.HostRegion;
import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.rule.Composition;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import dev.stepd.tensor.TensorSpec;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// Whole steps with the norms of deltas and parameters and without, in turns.
public final class NormsTiming implements AutoCloseable {
    private static final long MEMORY_BYTES = 2L << 30;
    private static final int WARMUP = 20;

    private final CpuDevice device;
    private final Engine engine;
    private final Stepper stepper;
    private final HostRegion body;
    private final BitSet present = new BitSet();

    private NormsTiming(String optimizer, long elements, Engine.Metrics metrics) {
        device = new CpuDevice(MEMORY_BYTES, KernelBenchmark.THREADS);
        engine = new Engine(device);
        var composition = new Composition(settings(optimizer), List.of(), null, null, null);
        stepper = engine.create(new Engine.Blueprint(List.of(new TensorSpec("w", Shape.of(elements), DType.F32)), composition,
                List.of(), null, Engine.NonFinite.REJECT, metrics));
        stepper.parametersLoaded();
        body = engine.hostMemory().allocate(stepper.body().byteCount(), "a body");
        present.set(0);
    }

    private static Map<String, Object> settings(String optimizer) {
        var words = optimizer.split(" ");
        var settings = new HashMap<String, Object>(Map.of("name", words[0]));
        for (int i = 1; i < words.length; i++) {
            var setting = words[i].split("=");
            settings.put(setting[0], Double.valueOf(setting[1]));
        }
        return settings;
    }

    /// How many times as long a step takes with norms, by the median of pairs.
    public static double ratio(String optimizer, long elements, int pairs) {
        try (var with = new NormsTiming(optimizer, elements, Engine.Metrics.NORMS);
                var without = new NormsTiming(optimizer, elements, Engine.Metrics.GRADIENT)) {
            var ratios = new double[pairs];
            for (int i = -WARMUP; i < pairs; i++) {
                double ratio = (double) with.step() / without.step();
                if (i >= 0) {
                    ratios[i] = ratio;
                }
            }
            Arrays.sort(ratios);
            return ratios[pairs / 2];
        }
    }

    private long step() {
        for (long i = 0; i < stepper.layout().elementCount(); i++) {
            body.segment().setAtIndex(ValueLayout.JAVA_FLOAT, i, (i % 101 - 50) * 1e-3f);
        }
        long start = System.nanoTime();
        stepper.step(body.segment(), present);
        return System.nanoTime() - start;
    }

    @Override
    public void close() {
        body.close();
        stepper.close();
        engine.close();
    }
}
