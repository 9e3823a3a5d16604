package dev.stepd.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.stepd.device.cuda.CudaLibrary.Present;
import dev.stepd.device.cuda.shim.CudaShim;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;

/// What a step asks of a stream leaves nothing for the collector.
class CudaAllocationTest {
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    private static final String TEXT = """
            struct Plan { float *values; };
            extern "C" __global__ void one(const __grid_constant__ Plan plan) { plan.values[threadIdx.x] = 1; }
            """;

    @Test
    void copiesLaunchesAndEventsAllocateNothing() {
        Assumptions.assumeTrue(CudaShim.available(), "there is no CUDA shim");
        CudaShim.load().reset();
        var library = (Present) CudaLibrary.find();
        try (var context = CudaContext.open(library.devices().getFirst());
                var stream = context.stream(CudaStream.Priority.NORMAL);
                var other = context.stream(CudaStream.Priority.NORMAL);
                var event = context.event(CudaEvent.Kind.ORDER);
                var pinned = context.pin(256)) {
            var arguments = new Arguments(8);
            var image = library.nvrtc().compile("one", TEXT, Architecture.best(90, library.nvrtc().capabilities()));
            try (var module = context.load(image.bytes())) {
                long values = context.allocate(256);
                arguments.segment().set(ValueLayout.JAVA_LONG, 0, values);
                var function = module.function("one");
                long host = pinned.segment().address();
                long allocated = Long.MAX_VALUE;
                for (int i = 0; i < 20 && allocated > 0; i++) { // the first rounds link and compile
                    long before = THREADS.getCurrentThreadAllocatedBytes();
                    step(stream, other, event, function, arguments, values, host);
                    allocated = THREADS.getCurrentThreadAllocatedBytes() - before;
                }
                assertThat(allocated).isZero();
                context.free(values);
            }
        } finally {
            assertThat(CudaShim.load().balance()).isZero();
        }
    }

    private static void step(CudaStream stream, CudaStream other, CudaEvent event, CudaFunction function, Arguments arguments,
            long values, long host) {
        for (int i = 0; i < 10; i++) {
            stream.copyIn(values, host, 64);
            stream.fill(values, (byte) 0, 64);
            stream.launch(function, 1, 32, 0, arguments);
            stream.record(event);
            other.await(event);
            other.copyOut(host, values, 64);
            other.synchronize();
            event.isDone();
        }
    }
}
