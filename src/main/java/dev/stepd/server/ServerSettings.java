package dev.stepd.server;

import io.micronaut.context.annotation.ConfigurationProperties;
import io.micronaut.core.bind.annotation.Bindable;
import io.micronaut.core.convert.format.ReadableBytes;
import java.nio.file.Path;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/// Where the server listens, what it keeps and how much it takes. With [StoreSettings] and `dev.stepd.http`'s settings this is
/// every key there is; each is a flag (`--drain-timeout`), a variable (`STEPD_DRAIN_TIMEOUT`) and a key (`stepd.drain-timeout`).
///
/// @param host the address to listen on
/// @param port the port; 0 for any that is free
/// @param allowRemote whether `host` may be reached from other machines, which nothing authenticates
/// @param data the folder of the database, unless that is elsewhere, and of compiled kernels; made when absent
/// @param memory bytes that sessions and bodies may hold together; three quarters of the machine's when absent, of which GPUs take
///     `pinnedMemory`
/// @param bytesInFlight bytes of bodies being received or waiting for their step; a quarter of `memory` when absent
/// @param threads that work on one step at most; the machine's cores when absent
/// @param headerLimit bytes of the longest safetensors header
/// @param sessionLimit how many sessions may exist
/// @param idleAfter how long a session keeps its place in memory after its last step when others need it
/// @param eventStreamLimit how many streams of events may be read at a time
/// @param cuda whether GPUs are used: `auto`, where there are some, or `off`
/// @param cudaMemory bytes of each GPU's memory for sessions; 90 % of it when absent
/// @param pinnedMemory bytes of main memory for bodies on their way to and from all GPUs; a quarter of the machine's when absent
/// @param cudaCache the folder of compiled kernels; `cuda-cache` in `data` when absent
/// @param journalSegment bytes at which a session's journal begins another file
/// @param drainTimeout how long running steps may take to finish when the server ends
/// @param storeTimeout how long storing sessions may take after that
@ConfigurationProperties("stepd")
record ServerSettings(
        @Bindable(defaultValue = "127.0.0.1") String host,
        @Bindable(defaultValue = "8080") int port,
        @Bindable(defaultValue = "false") boolean allowRemote,
        @Bindable(defaultValue = "data") Path data,
        @Nullable @ReadableBytes Long memory,
        @Nullable @ReadableBytes Long bytesInFlight,
        @Nullable Integer threads,
        @Bindable(defaultValue = "8MB") @ReadableBytes long headerLimit,
        @Bindable(defaultValue = "10000") int sessionLimit,
        @Bindable(defaultValue = "10s") Duration idleAfter,
        @Bindable(defaultValue = "1000") int eventStreamLimit,
        @Bindable(defaultValue = "auto") String cuda,
        @Nullable @ReadableBytes Long cudaMemory,
        @Nullable @ReadableBytes Long pinnedMemory,
        @Nullable Path cudaCache,
        @Bindable(defaultValue = "64MB") @ReadableBytes long journalSegment,
        @Bindable(defaultValue = "30s") Duration drainTimeout,
        @Bindable(defaultValue = "60s") Duration storeTimeout) {
    long memoryBytes() {
        return memory != null ? memory : machineBytes() / 4 * 3;
    }

    /// What is left of [#memoryBytes] for the processor's sessions where there are GPUs.
    long memoryBesideCudaBytes() {
        return memory != null ? memory : Math.max(0, memoryBytes() - pinnedBytes());
    }

    boolean usesCuda() {
        return cuda.equalsIgnoreCase("auto");
    }

    long pinnedBytes() {
        return pinnedMemory != null ? pinnedMemory : machineBytes() / 4;
    }

    Path cudaCacheFolder() {
        return cudaCache != null ? cudaCache : data.resolve("cuda-cache");
    }

    long bytesInFlightMax() {
        return bytesInFlight != null ? bytesInFlight : memoryBytes() / 4;
    }

    int threadCount() {
        return threads != null ? Math.max(1, threads) : Runtime.getRuntime().availableProcessors();
    }

    private static long machineBytes() {
        var system = (com.sun.management.OperatingSystemMXBean) java.lang.management.ManagementFactory.getOperatingSystemMXBean();
        return system.getTotalMemorySize();
    }
}
