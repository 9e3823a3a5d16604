package dev.stepd.session;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class StrandTest {
    @Test
    void runsHereWhenIdle() {
        var strand = new Strand(task -> {
            throw new AssertionError("needs no pool");
        });
        var on = new ArrayList<Thread>();
        strand.executeHere(() -> on.add(Thread.currentThread()));
        assertThat(on).containsExactly(Thread.currentThread());
    }

    @Test
    void queuesBehindWhatRuns() {
        var pool = new ArrayList<Runnable>();
        var strand = new Strand(pool::add);
        var order = new ArrayList<String>();
        strand.executeHere(() -> {
            strand.executeHere(() -> order.add("second"));
            strand.execute(() -> order.add("third"));
            order.add("first");
        });
        assertThat(order).containsExactly("first");
        while (!pool.isEmpty()) {
            pool.removeFirst().run();
        }
        assertThat(order).containsExactly("first", "second", "third");
    }

    @Test
    void givesOtherStrandsTheirTurn() {
        var pool = new ArrayList<Runnable>();
        var order = new ArrayList<String>();
        var a = new Strand(pool::add);
        var b = new Strand(pool::add);
        a.execute(() -> order.add("a1"));
        a.execute(() -> order.add("a2"));
        b.execute(() -> order.add("b1"));
        while (!pool.isEmpty()) {
            pool.removeFirst().run();
        }
        assertThat(order).containsExactly("a1", "b1", "a2");
    }

    @Test
    void runsOneAtATimeInOrderAndShowsEachTaskTheLast() throws InterruptedException {
        try (var pool = Executors.newFixedThreadPool(4)) {
            var strand = new Strand(pool);
            var running = new AtomicInteger();
            var seen = new int[1];
            int tasks = 20_000;
            var done = new CountDownLatch(2 * tasks);
            Runnable task = () -> {
                assertThat(running.incrementAndGet()).isEqualTo(1);
                seen[0]++;
                running.decrementAndGet();
                done.countDown();
            };
            for (var caller : List.of(true, false)) {
                pool.execute(() -> {
                    for (int i = 0; i < tasks; i++) {
                        if (caller) {
                            strand.execute(task);
                        } else {
                            strand.executeHere(task);
                        }
                    }
                });
            }
            assertThat(done.await(30, TimeUnit.SECONDS)).isTrue();
            assertThat(seen[0]).isEqualTo(2 * tasks);
        }
    }
}
