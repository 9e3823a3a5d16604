package dev.stepd.session;

import com.sun.management.OperatingSystemMXBean;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.util.concurrent.locks.LockSupport;

/// Has threads that nobody waits for work on the time that others leave. Java's own priorities are ignored on Linux, where every
/// thread has a nice value; elsewhere that is of the process, and nothing is done.
final class Courtesy {
    /// Beside threads that never rest, about a tenth of a core.
    private static final int NICE = 10;
    /// As many times as it worked: whoever always runs slows a step that takes all cores by half.
    private static final int REST = 5;
    private static final double CROWDED = 0.5;
    private static final long ASKED_EVERY_NANOS = 100_000_000;
    private static final OperatingSystemMXBean SYSTEM = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    private static volatile double load = Double.NaN;
    private static volatile long askedNanos = System.nanoTime() - ASKED_EVERY_NANOS;

    private Courtesy() {}

    /// Rests after work that others felt, if the machine has little left: where cores share what they have, whoever runs slows its
    /// neighbours down, however nice it is.
    static void rest(long workedNanos) {
        if (isCrowded()) {
            LockSupport.parkNanos(REST * workedNanos);
        }
    }

    /// How busy all cores are, asked for now and then.
    private static boolean isCrowded() {
        long now = System.nanoTime();
        if (now - askedNanos > ASKED_EVERY_NANOS) {
            askedNanos = now;
            load = SYSTEM.getCpuLoad();
        }
        return !(load < CROWDED); // also when nobody knows
    }

    /// Of the calling thread, for good.
    static void giveWay() {
        if (!System.getProperty("os.name").equals("Linux")) {
            return;
        }
        try {
            var linker = Linker.nativeLinker();
            var number = ValueLayout.JAVA_INT;
            var setPriority = linker.downcallHandle(linker.defaultLookup().findOrThrow("setpriority"),
                    FunctionDescriptor.of(number, number, number, number));
            int _ = (int) setPriority.invokeExact(0, 0, NICE); // of this thread, and refused by no kernel
        } catch (Throwable e) {
            throw new IllegalStateException("setpriority", e);
        }
    }
}
