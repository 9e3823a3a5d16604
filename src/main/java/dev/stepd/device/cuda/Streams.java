package dev.stepd.device.cuda;

/// What one session's work goes through while it steps: copies in, kernels, and copies out each in an order of their own, so that
/// all three go on at once. Small plans go by themselves, before what is waiting of large ones.
record Streams(
        CudaStream in, CudaStream kernels, CudaStream out, CudaStream small, CudaEvent arrived, CudaEvent computed, CudaEvent done)
        implements AutoCloseable {
    /// A waiting thread that sleeps wakes tens of microseconds late: what takes no longer than that is worth a core.
    private static final long AWAKE_NANOS = 50_000;

    static Streams open(CudaContext context) {
        return new Streams(
                context.stream(CudaStream.Priority.NORMAL),
                context.stream(CudaStream.Priority.NORMAL),
                context.stream(CudaStream.Priority.NORMAL),
                context.stream(CudaStream.Priority.HIGH),
                context.event(CudaEvent.Kind.ORDER),
                context.event(CudaEvent.Kind.ORDER),
                context.event(CudaEvent.Kind.SLEEP));
    }

    /// What kernels do from now on waits for what was copied in.
    void kernelsAfterCopies() {
        in.record(arrived);
        kernels.await(arrived);
    }

    /// What is copied out from now on waits for the kernels.
    void copiesAfterKernels() {
        kernels.record(computed);
        out.await(computed);
    }

    private void awaitDone() {
        long end = System.nanoTime() + AWAKE_NANOS;
        while (!done.isDone()) {
            if (System.nanoTime() > end) {
                done.synchronize();
                return;
            }
            Thread.onSpinWait();
        }
    }

    /// Returns when everything is done.
    void await() {
        in.record(arrived);
        out.await(arrived);
        kernels.record(computed);
        out.await(computed);
        out.record(done);
        awaitDone();
    }

    /// Returns when a small plan is done.
    void awaitSmall() {
        small.record(done);
        awaitDone();
    }

    @Override
    public void close() {
        in.close();
        kernels.close();
        out.close();
        small.close();
        arrived.close();
        computed.close();
        done.close();
    }
}
