package dev.stepd.device.cuda;

import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;

/// Work by key that several threads may want at once: one of them does it, the others wait for its result. Nothing is kept
/// after that. Work of different keys runs side by side.
final class SharedWork<V> {
    private final Map<String, CompletableFuture<V>> running = new ConcurrentHashMap<>();

    /// @throws RuntimeException what the work throws, whichever thread did it
    V get(String key, Supplier<V> work) {
        var mine = new CompletableFuture<V>();
        var others = running.putIfAbsent(key, mine);
        if (others != null) {
            return joined(others);
        }
        try {
            var result = work.get();
            mine.complete(result);
            return result;
        } catch (RuntimeException | Error e) {
            mine.completeExceptionally(e);
            throw e;
        } finally {
            running.remove(key);
        }
    }

    private V joined(CompletableFuture<V> others) {
        try {
            return others.join();
        } catch (CompletionException e) {
            switch (e.getCause()) {
                case RuntimeException failure -> throw failure;
                case Error failure -> throw failure;
                case null, default -> throw e;
            }
        }
    }
}
