package dev.stepd.device.cuda;

import dev.stepd.bench.Figure;
import dev.stepd.engine.DeviceSubject;
import dev.stepd.engine.Engine;
import dev.stepd.tensor.Shape;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;

/// How many steps many small sessions take in a second.
final class SessionFigures {
    private static final double STEPS_PER_SECOND_MIN = 50_000;
    private static final List<Integer> THREADS = List.of(1, 4, 8, 16);

    private SessionFigures() {}

    static List<Figure> measure(CudaDevice device, GpuSizes sizes) {
        var figures = new ArrayList<Figure>();
        var sessions = new ArrayList<DeviceSubject>();
        var what = "%,d sessions of %,d parameters".formatted(sizes.sessions(), sizes.sessionElements());
        Attempt.at(what, figures, () -> {
            for (int i = 0; i < sizes.sessions(); i++) {
                sessions.add(new DeviceSubject(device, Map.of("name", "adamw"), Shape.of(sizes.sessionElements()), Engine.NonFinite.REJECT));
            }
            double best = 0;
            for (int threads : THREADS) {
                double rate = rate(sessions, threads, sizes.windowMillis());
                best = Math.max(best, rate);
                figures.add(Figure.info(what + ", " + threads + (threads == 1 ? " thread" : " threads"), "%,.0f steps/s".formatted(rate)));
            }
            figures.add(Figure.atLeast("  the most of these", best, STEPS_PER_SECOND_MIN, "steps/s"));
        });
        sessions.forEach(DeviceSubject::close);
        return figures;
    }

    /// Each thread steps sessions of its own in turn.
    private static double rate(List<DeviceSubject> sessions, int threads, long millis) {
        try (var pool = Executors.newFixedThreadPool(threads)) {
            var work = new ArrayList<Callable<Double>>();
            for (int thread = 0; thread < threads; thread++) {
                int first = thread;
                work.add(() -> stepsPerSecond(sessions, first, threads, millis));
            }
            double sum = 0;
            for (var each : pool.invokeAll(work)) {
                sum += each.get();
            }
            return sum;
        } catch (InterruptedException | ExecutionException e) {
            throw new IllegalStateException(e);
        }
    }

    private static double stepsPerSecond(List<DeviceSubject> sessions, int first, int threads, long millis) {
        long start = System.nanoTime();
        long until = start + millis * 1_000_000;
        long steps = 0;
        while (System.nanoTime() < until) {
            for (int i = first; i < sessions.size(); i += threads) {
                sessions.get(i).step();
                steps++;
            }
        }
        return steps / ((System.nanoTime() - start) / 1e9);
    }
}
