package dev.stepd.device.cuda.shim;

import static jcuda.driver.JCudaDriver.cuEventCreate;
import static jcuda.driver.JCudaDriver.cuEventElapsedTime;
import static jcuda.driver.JCudaDriver.cuEventQuery;
import static jcuda.driver.JCudaDriver.cuEventRecord;
import static jcuda.driver.JCudaDriver.cuGraphDestroy;
import static jcuda.driver.JCudaDriver.cuGraphExecDestroy;
import static jcuda.driver.JCudaDriver.cuGraphInstantiate;
import static jcuda.driver.JCudaDriver.cuGraphLaunch;
import static jcuda.driver.JCudaDriver.cuMemAlloc;
import static jcuda.driver.JCudaDriver.cuMemcpyDtoHAsync;
import static jcuda.driver.JCudaDriver.cuMemcpyHtoD;
import static jcuda.driver.JCudaDriver.cuMemcpyHtoDAsync;
import static jcuda.driver.JCudaDriver.cuMemsetD32Async;
import static jcuda.driver.JCudaDriver.cuStreamBeginCapture;
import static jcuda.driver.JCudaDriver.cuStreamCreate;
import static jcuda.driver.JCudaDriver.cuStreamEndCapture;
import static jcuda.driver.JCudaDriver.cuStreamQuery;
import static jcuda.driver.JCudaDriver.cuStreamSynchronize;
import static jcuda.driver.JCudaDriver.cuStreamWaitEvent;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import jcuda.Pointer;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUevent;
import jcuda.driver.CUfunction;
import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.CUresult;
import jcuda.driver.CUstream;
import jcuda.driver.CUstreamCaptureMode;
import jcuda.driver.JCudaDriver;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/// Streams, events and graphs: what is ordered is in order, and what is not is in any.
@Timeout(60)
class ShimStreamTest {
    private static final String ADD = """
            extern "C" __global__ void add(float *x, float by) { x[threadIdx.x] += by; }
            extern "C" __global__ void copy(float *to, const float *from) { to[threadIdx.x] = from[threadIdx.x]; }
            """;
    private OnShim on;
    private CUfunction add;
    private CUfunction copy;

    @BeforeEach
    void begin() {
        on = OnShim.fresh();
        var module = on.module(ADD);
        add = on.function(module, "add");
        copy = on.function(module, "copy");
    }

    @AfterEach
    void end() {
        if (on != null) {
            on.close();
        }
    }

    @Test
    void oneStreamIsInOrder() {
        var stream = on.stream();
        var x = on.device(4);
        var host = on.pinned(4);
        var back = on.pinned(4);
        for (int i = 0; i < 4; i++) {
            host.floats().put(i, i);
        }
        on.check(cuMemcpyHtoDAsync(x, host.pointer(), 16, stream));
        for (int k = 1; k <= 20; k++) {
            on.check(on.tryLaunch(add, 1, 4, stream, Pointer.to(x), Pointer.to(new float[] {k})));
        }
        on.check(cuMemcpyDtoHAsync(back.pointer(), x, 16, stream));
        on.check(cuStreamSynchronize(stream));
        for (int i = 0; i < 4; i++) {
            assertThat(back.floats().get(i)).isEqualTo(i + 210f);
        }
    }

    /// A body's buffer that is reused before its copy is done would carry the next body.
    @Test
    void copiesReadTheHostWhenTheyRun() {
        on.shim.idleMicros(-1);
        var stream = on.stream();
        var x = on.device(1);
        var host = on.pinned(1);
        host.floats().put(0, 1);
        on.check(cuMemcpyHtoDAsync(x, host.pointer(), 4, stream));
        host.floats().put(0, 2);
        on.check(cuStreamSynchronize(stream));
        assertThat(on.floats(x, 1)).containsExactly(2);
    }

    @Test
    void missingWaitForAnEventShows() {
        int wrong = 0;
        for (int seed = 0; seed < 20; seed++) {
            wrong += acrossStreams(seed, false) == 7 ? 0 : 1;
            assertThat(acrossStreams(seed, true)).isEqualTo(7);
        }
        assertThat(wrong).isGreaterThan(5);
    }

    /// A value that goes from one stream to another.
    private float acrossStreams(long seed, boolean wait) {
        on.shim.seed(seed);
        on.shim.idleMicros(-1);
        var first = on.stream();
        var second = on.stream();
        var event = event(2);
        var x = on.device(0f);
        var host = on.pinned(1);
        on.check(on.tryLaunch(add, 1, 1, first, Pointer.to(x), Pointer.to(new float[] {7})));
        on.check(cuEventRecord(event, first));
        if (wait) {
            on.check(cuStreamWaitEvent(second, event, 0));
        }
        on.check(cuMemcpyDtoHAsync(host.pointer(), x, 4, second));
        on.check(cuStreamSynchronize(second));
        float found = host.floats().get(0);
        on.check(cuStreamSynchronize(first));
        return found;
    }

    @Test
    void defaultStreamWaitsForBlockingStreamsOnly() {
        on.shim.idleMicros(-1);
        var blocking = new CUstream();
        on.check(cuStreamCreate(blocking, 0));
        for (int seed = 0; seed < 10; seed++) {
            on.shim.seed(seed);
            var x = on.device(1f);
            on.check(on.tryLaunch(add, 1, 1, blocking, Pointer.to(x), Pointer.to(new float[] {1})));
            assertThat(on.floats(x, 1)).containsExactly(2);
        }
        int early = 0;
        var other = on.stream();
        for (int seed = 0; seed < 10; seed++) {
            on.shim.seed(seed);
            var x = on.device(1f);
            on.check(on.tryLaunch(add, 1, 1, other, Pointer.to(x), Pointer.to(new float[] {1})));
            early += on.floats(x, 1)[0] == 1 ? 1 : 0;
            on.check(cuStreamSynchronize(other));
        }
        assertThat(early).isPositive();
    }

    @Test
    void questionsAreAnsweredWithoutWaiting() {
        on.shim.idleMicros(-1);
        var stream = on.stream();
        var begin = event(0);
        var end = event(0);
        on.check(cuStreamQuery(stream));
        on.check(cuEventQuery(end));
        on.check(cuEventRecord(begin, stream));
        on.check(on.tryLaunch(add, 1, 1, stream, Pointer.to(on.device(0f)), Pointer.to(new float[] {1})));
        on.check(cuEventRecord(end, stream));
        assertThat(cuEventElapsedTime(new float[1], begin, end)).isEqualTo(CUresult.CUDA_ERROR_NOT_READY);
        assertThat(cuStreamQuery(stream)).isEqualTo(CUresult.CUDA_ERROR_NOT_READY);
        int asked = 0;
        while (cuEventQuery(end) == CUresult.CUDA_ERROR_NOT_READY) {
            asked++;
        }
        assertThat(asked).isBetween(1, 4);
        var ms = new float[1];
        on.check(cuEventElapsedTime(ms, begin, end));
        assertThat(ms[0]).isNotNegative();
    }

    /// Somebody who only waits for what a host function does must not wait for ever.
    @Test
    void deviceGoesOnWhileTheHostDoesNothing() throws InterruptedException {
        var stream = on.stream();
        var done = new CountDownLatch(1);
        on.check(on.tryLaunch(add, 1, 1, stream, Pointer.to(on.device(0f)), Pointer.to(new float[] {1})));
        on.check(JCudaDriver.cuLaunchHostFunc(stream, _ -> done.countDown(), null));
        assertThat(done.await(30, TimeUnit.SECONDS)).isTrue();
        on.check(cuStreamSynchronize(stream));
    }

    @Test
    void graphsReplayWhatWasCaptured() {
        var stream = on.stream();
        var x = on.device(0f, 0f);
        var y = on.device(2);
        var host = on.pinned(2);
        on.check(cuStreamBeginCapture(stream, CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_GLOBAL));
        on.check(on.tryLaunch(add, 1, 2, stream, Pointer.to(x), Pointer.to(new float[] {3})));
        on.check(on.tryLaunch(copy, 1, 2, stream, Pointer.to(y), Pointer.to(x)));
        on.check(cuMemsetD32Async(x.withByteOffset(4), 0, 1, stream));
        on.check(cuMemcpyDtoHAsync(host.pointer(), y, 8, stream));
        var graph = new CUgraph();
        on.check(cuStreamEndCapture(stream, graph));
        assertThat(on.floats(x, 2)).containsExactly(0, 0); // nothing has run
        var exec = instantiate(graph);
        on.check(cuMemcpyHtoD(x, Pointer.to(new float[] {10, 20}), 8));
        for (int k = 1; k <= 3; k++) {
            on.check(cuGraphLaunch(exec, stream));
        }
        on.check(cuStreamSynchronize(stream));
        assertThat(host.floats().get(0)).isEqualTo(19);
        assertThat(host.floats().get(1)).isEqualTo(3);
        on.check(cuGraphExecDestroy(exec));
    }

    @Test
    void graphsBranchAndJoin() {
        var one = on.stream();
        var two = on.stream();
        var fork = event(2);
        var join = event(2);
        var x = on.device(1f);
        var y = on.device(1f);
        on.check(cuStreamBeginCapture(one, CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
        on.check(on.tryLaunch(add, 1, 1, one, Pointer.to(x), Pointer.to(new float[] {1})));
        on.check(cuEventRecord(fork, one));
        on.check(cuStreamWaitEvent(two, fork, 0));
        on.check(on.tryLaunch(copy, 1, 1, two, Pointer.to(y), Pointer.to(x)));
        on.check(cuEventRecord(join, two));
        on.check(cuStreamWaitEvent(one, join, 0));
        on.check(on.tryLaunch(add, 1, 1, one, Pointer.to(y), Pointer.to(new float[] {5})));
        var graph = new CUgraph();
        on.check(cuStreamEndCapture(one, graph));
        var exec = instantiate(graph);
        for (int seed = 0; seed < 5; seed++) {
            on.shim.seed(seed);
            on.check(cuGraphLaunch(exec, one));
            on.check(cuStreamSynchronize(one));
            assertThat(on.floats(y, 1)).containsExactly(seed + 7);
        }
    }

    @Test
    void captureRefusesWhatItCannotKeep() {
        var one = on.stream();
        var two = on.stream();
        var fork = event(2);
        var graph = new CUgraph();
        on.check(cuStreamBeginCapture(one, CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_GLOBAL));
        assertThat(cuMemAlloc(new CUdeviceptr(), 4)).isEqualTo(CUresult.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
        assertThat(cuStreamEndCapture(one, graph)).isEqualTo(CUresult.CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
        on.check(cuStreamBeginCapture(one, CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_GLOBAL));
        assertThat(cuStreamSynchronize(one)).isEqualTo(CUresult.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
        assertThat(cuStreamEndCapture(one, graph)).isEqualTo(CUresult.CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
        var x = on.device(0f);
        on.check(cuStreamBeginCapture(one, CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_GLOBAL));
        on.check(cuEventRecord(fork, one));
        on.check(cuStreamWaitEvent(two, fork, 0));
        on.check(on.tryLaunch(add, 1, 1, two, Pointer.to(x), Pointer.to(new float[] {1})));
        assertThat(cuStreamEndCapture(one, graph)).isEqualTo(CUresult.CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
        assertThat(on.floats(x, 1)).containsExactly(0);
    }

    @Test
    void threadsShareTheDevice() throws Exception {
        var context = new CUcontext();
        on.check(JCudaDriver.cuCtxGetCurrent(context));
        try (var threads = Executors.newFixedThreadPool(4)) {
            var sums = new ArrayList<Future<Float>>();
            for (int t = 0; t < 4; t++) {
                sums.add(threads.submit(() -> {
                    on.check(JCudaDriver.cuCtxSetCurrent(context));
                    var stream = on.stream();
                    var x = on.device(0f);
                    for (int k = 0; k < 200; k++) {
                        on.check(on.tryLaunch(add, 1, 1, stream, Pointer.to(x), Pointer.to(new float[] {k})));
                        if (k % 7 == 0) {
                            on.check(cuStreamSynchronize(stream));
                        }
                    }
                    on.check(cuStreamSynchronize(stream));
                    return on.floats(x, 1)[0];
                }));
            }
            for (var sum : sums) {
                assertThat(sum.get()).isEqualTo(199 * 100);
            }
        }
    }

    private CUgraphExec instantiate(CUgraph graph) {
        var exec = new CUgraphExec();
        on.check(cuGraphInstantiate(exec, graph, 0));
        on.check(cuGraphDestroy(graph));
        return exec;
    }

    private CUevent event(int flags) {
        var event = new CUevent();
        on.check(cuEventCreate(event, flags));
        return event;
    }
}
