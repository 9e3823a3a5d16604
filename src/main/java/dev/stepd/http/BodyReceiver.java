package dev.stepd.http;

import dev.stepd.session.Incoming;
import io.micronaut.http.HttpRequest;
import io.micronaut.http.ServerHttpRequest;
import io.micronaut.http.body.AvailableByteBody;
import io.micronaut.http.netty.body.NettyByteBodyFactory;
import io.micronaut.http.server.netty.NettyHttpRequest;
import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import jakarta.inject.Singleton;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.LongFunction;

/// Feeds request bodies to whoever consumes them, straight from the network's buffers and on the network's thread.
@Singleton
final class BodyReceiver {
    private static final String ASKED_FOR = "stepd.body-asked-for";

    private final HttpSettings settings;
    private final Metrics metrics;

    BodyReceiver(HttpSettings settings, Metrics metrics) {
        this.settings = settings;
        this.metrics = metrics;
    }

    /// Pours the body of `request` into what `open` admits it to.
    ///
    /// The future fails at the first breach, with the rest of the body still on its way: that rest is read and
    /// dropped, up to a bound, so that a client which sends everything before it listens hears the problem.
    ///
    /// @param open admits a body of so many bytes, -1 when that is not known yet
    <T> CompletableFuture<T> receive(ServerHttpRequest<?> request, LongFunction<Incoming<T>> open) {
        var body = request.byteBody();
        boolean held = held(request);
        long length = body.expectedLength().orElse(-1);
        if (body instanceof AvailableByteBody whole) {
            return receiveWhole(whole, open);
        }
        Incoming<T> incoming;
        try {
            incoming = open.apply(length);
        } catch (RuntimeException refusal) {
            if (!held) { // else it was never asked for: there is nothing to drop
                Reception.<T>refusing(channel(request)).subscribeTo(body);
            }
            return CompletableFuture.failedFuture(refusal);
        }
        var reception = new Reception<>(channel(request), incoming, length, settings.bodyIdleTimeout(), metrics);
        if (held) {
            request.setAttribute(ASKED_FOR, true);
        }
        reception.subscribeTo(body);
        return reception.result();
    }

    /// Whether the client holds its body back until told to go on: it said `Expect: 100-continue` and nobody has yet.
    static boolean held(HttpRequest<?> request) {
        return request.getHeaders().contains("Expect") && request.getAttribute(ASKED_FOR).isEmpty();
    }

    /// A body that came in one piece with its head, as small ones do.
    private <T> CompletableFuture<T> receiveWhole(AvailableByteBody body, LongFunction<Incoming<T>> open) {
        ByteBuf bytes = NettyByteBodyFactory.toByteBuf(body);
        try (var incoming = open.apply(bytes.readableBytes())) {
            metrics.received(bytes.readableBytes());
            pour(bytes, incoming);
            return future(incoming.finish());
        } catch (RuntimeException refusal) {
            return CompletableFuture.failedFuture(refusal);
        } finally {
            bytes.release();
        }
    }

    static void pour(ByteBuf bytes, Incoming<?> incoming) {
        if (bytes.nioBufferCount() == 1) {
            incoming.write(bytes.nioBuffer());
        } else {
            for (var part : bytes.nioBuffers()) {
                incoming.write(part);
            }
        }
    }

    /// A future of its own, so that nobody up the line can complete or cancel the session's.
    static <T> CompletableFuture<T> future(CompletionStage<T> stage) {
        var future = new CompletableFuture<T>();
        stage.whenComplete((value, failure) -> {
            if (failure == null) {
                future.complete(value);
            } else {
                future.completeExceptionally(Problems.unwrapped(failure));
            }
        });
        return future;
    }

    private static Channel channel(ServerHttpRequest<?> request) {
        return ((NettyHttpRequest<?>) request).getChannelHandlerContext().channel();
    }
}
