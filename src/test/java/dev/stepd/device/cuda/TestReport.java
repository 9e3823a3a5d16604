package dev.stepd.device.cuda;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.TestExecutionResult.Status;
import org.junit.platform.engine.support.descriptor.ClassSource;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.TestPlan;

/// Prints each failure as it happens and a line for each class that is done, so that a run that is cut short has told what it knew.
final class TestReport implements TestExecutionListener {
    private final Map<String, Long> started = new ConcurrentHashMap<>();
    private final AtomicInteger passed = new AtomicInteger();
    private final AtomicInteger failed = new AtomicInteger();
    private final AtomicInteger skipped = new AtomicInteger();
    private TestPlan plan;

    @Override
    public void testPlanExecutionStarted(TestPlan plan) {
        this.plan = plan;
    }

    @Override
    public void executionStarted(TestIdentifier test) {
        started.put(test.getUniqueId(), System.nanoTime());
    }

    @Override
    public void executionSkipped(TestIdentifier test, String reason) {
        skipped.incrementAndGet();
        System.out.println("skipped " + name(test) + ": " + reason);
    }

    @Override
    public void executionFinished(TestIdentifier test, TestExecutionResult result) {
        if (result.getStatus() == Status.FAILED) {
            failed.incrementAndGet();
            tell("FAILED " + name(test), result);
        } else if (result.getStatus() == Status.ABORTED) {
            skipped.incrementAndGet();
            System.out.println("skipped " + name(test) + ": " + result.getThrowable().map(Throwable::getMessage).orElse(""));
        } else if (test.isTest()) {
            passed.incrementAndGet();
        }
        if (test.getSource().filter(ClassSource.class::isInstance).isPresent()) {
            System.out.printf("%6.1f s  %s; %s%n", (System.nanoTime() - started.get(test.getUniqueId())) / 1e9, name(test), summary());
        }
    }

    private static synchronized void tell(String what, TestExecutionResult result) {
        System.out.println(what);
        result.getThrowable().ifPresent(throwable -> throwable.printStackTrace(System.out));
    }

    /// `CudaAtScaleTest: computesTheSameBits: [3] {name=lamb}`.
    private String name(TestIdentifier test) {
        var parent = plan.getParent(test);
        return parent.isEmpty() || parent.get().getParentId().isEmpty()
                ? test.getDisplayName()
                : name(parent.get()) + ": " + test.getDisplayName();
    }

    boolean passed() {
        return failed.get() == 0 && passed.get() > 0;
    }

    String summary() {
        return "%d tests passed, %d failed, %d skipped".formatted(passed.get(), failed.get(), skipped.get());
    }
}
