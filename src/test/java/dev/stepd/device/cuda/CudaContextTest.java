package dev.stepd.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.device.cuda.CudaLibrary.Present;
import dev.stepd.device.cuda.shim.CudaShim;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// The driver's interface as the rest of the device uses it.
class CudaContextTest {
    private static final int COUNT = 1000;
    private static final long BYTES = 4 * COUNT;
    private static final String TEXT = """
            struct Plan { float *values; long long count; float factor; };

            extern "C" __global__ void __launch_bounds__(256) scale(const __grid_constant__ Plan plan) {
                for (long long i = blockIdx.x * 256LL + threadIdx.x; i < plan.count; i += gridDim.x * 256LL) {
                    plan.values[i] = __fmul_rn(plan.values[i], plan.factor);
                }
            }

            extern "C" __global__ void __launch_bounds__(256) add(const __grid_constant__ Plan plan) {
                for (long long i = blockIdx.x * 256LL + threadIdx.x; i < plan.count; i += gridDim.x * 256LL) {
                    plan.values[i] = __fadd_rn(plan.values[i], plan.factor);
                }
            }
            """;

    private CudaShim shim;
    private Present library;
    private CudaContext context;

    @BeforeEach
    void open() {
        Assumptions.assumeTrue(CudaShim.available(), "there is no CUDA shim");
        shim = CudaShim.load();
        shim.reset();
        library = (Present) CudaLibrary.find();
        context = CudaContext.open(library.devices().getFirst());
    }

    @AfterEach
    void close() {
        if (context != null) {
            context.close();
            shim.reset();
        }
    }

    private CudaModule module() {
        return context.load(library.nvrtc().compile("test", TEXT, Architecture.best(90, library.nvrtc().capabilities())).bytes());
    }

    private static void set(Arguments arguments, long values, float factor) {
        arguments.segment().set(ValueLayout.JAVA_LONG, 0, values);
        arguments.segment().set(ValueLayout.JAVA_LONG, 8, COUNT);
        arguments.segment().set(ValueLayout.JAVA_FLOAT, 16, factor);
    }

    private static void count(MemorySegment segment) {
        for (int i = 0; i < COUNT; i++) {
            segment.setAtIndex(ValueLayout.JAVA_FLOAT, i, i);
        }
    }

    private static void assertHolds(MemorySegment segment, int i, float value) {
        assertThat(segment.getAtIndex(ValueLayout.JAVA_FLOAT, i)).as("value %d", i).isEqualTo(value);
    }

    @Test
    void copiesComputesAndCopiesBackInOrder() {
        try (var stream = context.stream(CudaStream.Priority.NORMAL);
                var pinned = context.pin(BYTES);
                var module = module()) {
            var arguments = new Arguments(24);
            count(pinned.segment());
            long values = context.allocate(BYTES);
            stream.copyIn(values, pinned.segment().address(), BYTES);
            set(arguments, values, 2);
            stream.launch(module.function("scale"), 3, 256, 0, arguments);
            set(arguments, values, 1); // a launch has its own copy
            stream.launch(module.function("add"), 3, 256, 0, arguments);
            stream.copyOut(pinned.segment().address(), values, BYTES);
            stream.synchronize();
            assertThat(stream.isDone()).isTrue();
            for (int i = 0; i < COUNT; i++) {
                assertHolds(pinned.segment(), i, 2 * i + 1);
            }
            context.free(values);
        }
        assertThat(shim.balance()).isZero();
    }

    @Test
    void memoryThatIsNotPinnedIsCopiedToo() {
        try (var stream = context.stream(CudaStream.Priority.HIGH);
                var arena = Arena.ofConfined()) {
            var host = arena.allocate(BYTES);
            count(host);
            long first = context.allocate(BYTES);
            long second = context.allocate(BYTES);
            stream.copyIn(first, host.address(), BYTES);
            stream.copy(second, first, BYTES);
            stream.fill(second + 8, (byte) 0, 8);
            stream.fillInts(second, Float.floatToRawIntBits(7), 1);
            stream.copyOut(host.address(), second, 16);
            stream.copyOut(host.address(), second, 0);
            stream.synchronize();
            assertHolds(host, 0, 7);
            assertHolds(host, 1, 1);
            assertHolds(host, 2, 0);
            assertHolds(host, 3, 0);
            assertHolds(host, 4, 4);
            context.free(first);
            context.free(second);
        }
        assertThat(shim.balance()).isZero();
    }

    @Test
    void streamsWaitForEvents() {
        try (var first = context.stream(CudaStream.Priority.NORMAL);
                var second = context.stream(CudaStream.Priority.NORMAL);
                var copied = context.event(CudaEvent.Kind.ORDER);
                var done = context.event(CudaEvent.Kind.SLEEP);
                var pinned = context.pin(BYTES);
                var module = module()) {
            var arguments = new Arguments(24);
            long values = context.allocate(BYTES);
            for (int seed = 0; seed < 20; seed++) {
                shim.seed(seed);
                count(pinned.segment());
                first.copyIn(values, pinned.segment().address(), BYTES);
                first.record(copied);
                second.await(copied);
                set(arguments, values, 3);
                second.launch(module.function("scale"), 2, 256, 0, arguments);
                second.copyOut(pinned.segment().address(), values, BYTES);
                second.record(done);
                done.synchronize();
                assertThat(done.isDone()).isTrue();
                assertHolds(pinned.segment(), 999, 2997);
            }
            context.synchronize();
            context.free(values);
        }
        assertThat(shim.balance()).isZero();
    }

    @Test
    void eventsMeasureTime() {
        try (var stream = context.stream(CudaStream.Priority.NORMAL);
                var start = context.event(CudaEvent.Kind.TIME);
                var end = context.event(CudaEvent.Kind.TIME)) {
            stream.record(start);
            stream.record(end);
            end.synchronize();
            assertThat(end.millisecondsSince(start)).isBetween(0f, 60_000f);
        }
    }

    @Test
    void functionsSayWhatTheyTake() {
        try (var module = module()) {
            var function = module.function("scale");
            assertThat(function.name()).isEqualTo("scale");
            assertThat(function.threadsMax()).isBetween(256, 1024);
            assertThat(function.registers()).isPositive();
            assertThat(function.localBytes()).isNotNegative();
            assertThat(function.staticSharedBytes()).isZero();
            assertThat(function.residentBlocks(256, 0)).isPositive();
            function.allowSharedBytes(context.device().sharedBytesPerBlock());
            assertThatThrownBy(() -> module.function("divide"))
                    .hasMessageStartingWith("cuModuleGetFunction(divide) failed: CUDA_ERROR_NOT_FOUND (500)");
        }
    }

    @Test
    void outOfMemoryIsToldApartAndHarmless() {
        shim.memory(1 << 20);
        assertThat(context.freeBytes()).isEqualTo(1 << 20);
        assertThatThrownBy(() -> context.allocate(2 << 20)).isInstanceOfSatisfying(CudaError.class, error -> {
            assertThat(error.isOutOfMemory()).isTrue();
            assertThat(error.isSticky()).isFalse();
            assertThat(error.call()).isEqualTo("cuMemAlloc");
            assertThat(error.name()).isEqualTo("CUDA_ERROR_OUT_OF_MEMORY");
        });
        shim.failOnce("cuMemHostAlloc", 1, 2);
        assertThatThrownBy(() -> context.pin(64)).isInstanceOfSatisfying(CudaError.class,
                error -> assertThat(error.isOutOfMemory()).isTrue());
        context.free(context.allocate(1000));
        context.pin(64).close();
        assertThat(context.freeBytes()).isEqualTo(1 << 20);
        assertThat(shim.balance()).isZero();
    }

    @Test
    void aLostContextIsToldUntilItIsClosed() {
        var stream = context.stream(CudaStream.Priority.NORMAL);
        var event = context.event(CudaEvent.Kind.ORDER);
        var module = module();
        var pinned = context.pin(BYTES);
        long values = context.allocate(BYTES);
        var arguments = new Arguments(24);
        set(arguments, values + (1L << 40), 2); // nobody's memory
        stream.launch(module.function("scale"), 1, 256, 0, arguments);
        assertThatThrownBy(stream::synchronize).isInstanceOfSatisfying(CudaError.class, error -> {
            assertThat(error.isSticky()).isTrue();
            assertThat(error.isOutOfMemory()).isFalse();
            assertThat(error.number()).isEqualTo(700);
            assertThat(error).hasMessageStartingWith("cuStreamSynchronize failed: CUDA_ERROR_ILLEGAL_ADDRESS (700)");
        });
        assertThatThrownBy(() -> context.allocate(64)).isInstanceOfSatisfying(CudaError.class,
                error -> assertThat(error.isSticky()).isTrue());
        assertThatThrownBy(() -> stream.record(event)).isInstanceOf(CudaError.class);
        // what the context had is gone with it: giving it back says nothing more
        context.free(values);
        pinned.close();
        module.close();
        event.close();
        stream.close();
        context.close();
    }

    @Test
    void closingTwiceIsClosingOnce() {
        var stream = context.stream(CudaStream.Priority.NORMAL);
        var pinned = context.pin(64);
        for (int i = 0; i < 2; i++) {
            stream.close();
            pinned.close();
        }
        assertThat(shim.balance()).isZero();
    }

    @Test
    void everyThreadMayCall() throws Exception {
        long values = context.allocate(BYTES);
        try (var threads = Executors.newFixedThreadPool(2);
                var virtual = Executors.newVirtualThreadPerTaskExecutor()) {
            for (var executor : new java.util.concurrent.Executor[] {threads, virtual}) {
                for (int i = 0; i < 8; i++) {
                    CompletableFuture.runAsync(() -> context.free(context.allocate(64)), executor).get();
                }
            }
        }
        context.free(values);
        assertThat(shim.balance()).isZero();
    }

    @Test
    void theCurrentContextIsSetOnceForAThread() {
        context.use();
        long before = shim.calls("cuCtxSetCurrent");
        context.use();
        context.free(context.allocate(64));
        assertThat(shim.calls("cuCtxSetCurrent")).isEqualTo(before);
        try (var again = CudaContext.open(context.device())) {
            again.use();
            context.use();
        }
        assertThat(shim.calls("cuCtxSetCurrent")).isEqualTo(before + 2);
    }

    @Test
    void argumentsHaveABound() {
        assertThatThrownBy(() -> new Arguments(4097)).hasMessage("a kernel's argument has 1 to 4096 bytes, not 4097");
        assertThatThrownBy(() -> new Arguments(0)).isInstanceOf(IllegalStateException.class);
    }
}
