package dev.stepd.session;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;

/// Hands on how a stage ended with the failure as it was thrown, not wrapped as dependent stages wrap it.
final class Stages {
    private Stages() {}

    static <T> CompletableFuture<T> plain(CompletionStage<T> stage) {
        var plain = new CompletableFuture<T>();
        pass(stage, plain);
        return plain;
    }

    static <T> void pass(CompletionStage<T> from, CompletableFuture<T> to) {
        pass(from, to, failure -> failure);
    }

    /// @param told what to hand on for a failure
    static <T> void pass(CompletionStage<T> from, CompletableFuture<T> to, UnaryOperator<Throwable> told) {
        from.whenComplete((value, failure) -> {
            if (failure == null) {
                to.complete(value);
            } else {
                to.completeExceptionally(told.apply(unwrapped(failure)));
            }
        });
    }

    static <T> CompletableFuture<T> supply(Supplier<T> question, Executor executor) {
        return plain(CompletableFuture.supplyAsync(question, executor));
    }

    static Throwable unwrapped(Throwable failure) {
        return failure instanceof CompletionException && failure.getCause() != null ? failure.getCause() : failure;
    }
}
