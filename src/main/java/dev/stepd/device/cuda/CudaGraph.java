package dev.stepd.device.cuda;

import java.util.concurrent.atomic.AtomicBoolean;
import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.JCudaDriver;

/// Work captured from a stream, launched as one. Launches of one graph run after each other, on whichever streams.
final class CudaGraph implements AutoCloseable {
    private final CudaContext context;
    private final CUgraphExec handle = new CUgraphExec();
    private final AtomicBoolean open = new AtomicBoolean(true);

    /// @param graph consumed
    CudaGraph(CudaContext context, CUgraph graph) {
        this.context = context;
        try {
            Cuda.check(JCudaDriver.cuGraphInstantiate(handle, graph, 0), "cuGraphInstantiate");
        } finally {
            Cuda.checkRelease(JCudaDriver.cuGraphDestroy(graph), "cuGraphDestroy");
        }
    }

    CUgraphExec handle() {
        return handle;
    }

    @Override
    public void close() {
        if (open.compareAndSet(true, false)) {
            context.release(() -> JCudaDriver.cuGraphExecDestroy(handle), "cuGraphExecDestroy");
        }
    }
}
