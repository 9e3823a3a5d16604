package dev.stepd.device.cuda;

import java.util.Arrays;
import java.util.function.Consumer;

/// Times work by the device's clock. What comes before it is asked for at once, so that the device is busy while the host asks for what
/// is timed: calls cost the host microseconds that are not the device's.
final class GpuTimer implements AutoCloseable {
    private static final int WARM_UP = 3;

    private final CudaStream stream;
    private final CudaEvent start;
    private final CudaEvent end;
    private final int repeats;

    GpuTimer(CudaDevice device, int repeats) {
        this.stream = device.context().stream(CudaStream.Priority.NORMAL);
        this.start = device.context().event(CudaEvent.Kind.TIME);
        this.end = device.context().event(CudaEvent.Kind.TIME);
        this.repeats = repeats;
    }

    /// Median milliseconds.
    ///
    /// @param before what the work takes for granted, not timed
    double millis(Consumer<CudaStream> before, Consumer<CudaStream> work) {
        var times = new double[repeats];
        for (int i = -WARM_UP; i < repeats; i++) {
            before.accept(stream);
            stream.record(start);
            work.accept(stream);
            stream.record(end);
            end.synchronize();
            if (i >= 0) {
                times[i] = end.millisecondsSince(start);
            }
        }
        return median(times);
    }

    /// Median milliseconds of the host's clock, for what returns when it is done.
    double wallMillis(Runnable work) {
        var times = new double[repeats];
        for (int i = -WARM_UP; i < repeats; i++) {
            long start = System.nanoTime();
            work.run();
            if (i >= 0) {
                times[i] = (System.nanoTime() - start) / 1e6;
            }
        }
        return median(times);
    }

    private static double median(double[] times) {
        Arrays.sort(times);
        return times[times.length / 2];
    }

    CudaStream stream() {
        return stream;
    }

    @Override
    public void close() {
        stream.synchronize();
        stream.close();
        start.close();
        end.close();
    }
}
