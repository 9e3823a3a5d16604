package dev.stepd.session;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

/// Which threads give way to others.
@EnabledOnOs(value = OS.LINUX, disabledReason = "a thread has a priority of its own on Linux alone")
class LanesTest {
    private static final long SMALL_BYTES = (4 << 20) - 1;
    private static final int NICE_FIELD = 19;

    @Test
    void onlySnapshotsOfLargeSessionsGiveWay() {
        try (var lanes = new Lanes()) {
            long here = nice();
            assertThat(niceOf(lanes.storing(SMALL_BYTES))).isEqualTo(here);
            assertThat(niceOf(lanes.storing(SMALL_BYTES + 1))).isGreaterThanOrEqualTo(10);
            assertThat(niceOf(lanes.stepping(1))).isEqualTo(here);
            assertThat(niceOf(lanes.stepping(1_000_000))).isEqualTo(here);
            assertThat(niceOf(lanes.loading())).isEqualTo(here);
        }
    }

    private static long niceOf(Executor threads) {
        return CompletableFuture.supplyAsync(LanesTest::nice, threads).join();
    }

    /// Of the calling thread. Its name, in brackets, may hold blanks.
    private static long nice() {
        try {
            var stat = Files.readString(Path.of("/proc/thread-self/stat"));
            return Long.parseLong(stat.substring(stat.lastIndexOf(')') + 2).split(" ")[NICE_FIELD - 3]);
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }
}
