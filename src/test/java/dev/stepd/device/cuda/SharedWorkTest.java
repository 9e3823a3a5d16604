package dev.stepd.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
class SharedWorkTest {
    private final SharedWork<String> work = new SharedWork<>();
    private final CountDownLatch go = new CountDownLatch(1);

    @Test
    void isDoneOnceForAllWhoAskMeanwhile() throws Exception {
        var first = asker(() -> "first");
        var others = Stream.generate(() -> asker(() -> "mine")).limit(4).toList();
        assertThat(work.get("another key", () -> "at once")).isEqualTo("at once");
        go.countDown();
        assertThat(first.get()).isEqualTo("first");
        for (var other : others) {
            assertThat(other.get()).isEqualTo("first");
        }
    }

    @Test
    void failuresReachAllAndAreForgotten() {
        var failure = new IllegalStateException("does not compile");
        Supplier<String> fails = () -> {
            throw failure;
        };
        var askers = Stream.generate(() -> asker(fails)).limit(3).toList();
        go.countDown();
        assertThat(askers).allSatisfy(asker -> assertThatThrownBy(asker::get).hasCause(failure));
        assertThat(work.get("key", () -> "compiles now")).isEqualTo("compiles now");
    }

    @Test
    void isForgottenWhenDone() {
        assertThat(work.get("key", () -> "first")).isEqualTo("first");
        assertThat(work.get("key", () -> "second")).isEqualTo("second");
    }

    /// A thread that asks, and by now waits: to be let go, or for another's result.
    private FutureTask<String> asker(Supplier<String> answer) {
        var task = new FutureTask<>(() -> work.get("key", () -> {
            try {
                go.await();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
            return answer.get();
        }));
        var thread = new Thread(task);
        thread.setDaemon(true);
        thread.start();
        while (thread.getState() != Thread.State.WAITING) {
            Thread.onSpinWait();
        }
        return task;
    }
}
