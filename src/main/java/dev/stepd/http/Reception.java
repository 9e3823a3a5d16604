package dev.stepd.http;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.session.Incoming;
import io.micronaut.http.body.ByteBody;
import io.micronaut.http.netty.body.NettyByteBodyFactory;
import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.util.concurrent.ScheduledFuture;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Subscription;
import reactor.core.publisher.BaseSubscriber;

/// One body arriving in pieces. Everything here runs on the connection's event loop, so nothing needs a lock.
///
/// It ends in one of four ways: complete and handed on; refused by its consumer; cut off by the client; given up
/// because no byte came for too long. In the last three the consumer is closed and nothing has changed.
final class Reception<T> extends BaseSubscriber<ByteBuf> {
    /// What of a refused body is still read, so that its sender gets to the answer.
    private static final long DROPPED_BYTES_MAX = 1L << 30;
    private static final Duration DROPPING_MAX = Duration.ofSeconds(10);

    private final Channel channel;
    private final @Nullable Incoming<T> incoming;
    private final long expectedLength;
    private final Duration idleTimeout;
    private final @Nullable Metrics metrics;
    private final CompletableFuture<T> result = new CompletableFuture<>();
    private long arrivedBytes;
    private long droppedBytes;
    private long lastArrivalNanos = System.nanoTime();
    private boolean dropping;
    private @Nullable ScheduledFuture<?> timer;

    Reception(Channel channel, @Nullable Incoming<T> incoming, long expectedLength, Duration idleTimeout,
            @Nullable Metrics metrics) {
        this.channel = channel;
        this.incoming = incoming;
        this.expectedLength = expectedLength;
        this.idleTimeout = idleTimeout;
        this.metrics = metrics;
    }

    /// Reads and drops what was refused before its first byte.
    static <T> Reception<T> refusing(Channel channel) {
        var reception = new Reception<T>(channel, null, -1, DROPPING_MAX, null);
        reception.dropping = true;
        return reception;
    }

    void subscribeTo(ByteBody body) {
        timer = dropping ? schedule(this::stopDropping, DROPPING_MAX) : schedule(this::watch, idleTimeout);
        NettyByteBodyFactory.toByteBufs(body).subscribe(this);
    }

    CompletableFuture<T> result() {
        return result;
    }

    @Override
    protected void hookOnSubscribe(Subscription subscription) {
        request(1);
    }

    @Override
    protected void hookOnNext(ByteBuf bytes) {
        int count = bytes.readableBytes();
        arrivedBytes += count;
        try {
            if (dropping) {
                droppedBytes += count;
            } else {
                lastArrivalNanos = System.nanoTime();
                metrics.received(count);
                BodyReceiver.pour(bytes, incoming);
            }
        } catch (RuntimeException refusal) {
            refuse(refusal);
        } finally {
            bytes.release();
        }
        if (droppedBytes > DROPPED_BYTES_MAX) {
            stopDropping();
        } else {
            request(1);
        }
    }

    @Override
    protected void hookOnComplete() {
        cancelTimer();
        if (dropping) {
            return;
        }
        try (incoming) {
            BodyReceiver.future(incoming.finish()).whenComplete((value, failure) -> {
                if (failure == null) {
                    result.complete(value);
                } else {
                    result.completeExceptionally(failure);
                }
            });
        } catch (RuntimeException refusal) {
            result.completeExceptionally(refusal);
        }
    }

    @Override
    protected void hookOnError(Throwable failure) {
        cancelTimer();
        if (!dropping) {
            incoming.close();
            result.completeExceptionally(new ServiceException(ErrorCode.MALFORMED_BODY,
                    "the body was cut off after " + arrived(), failure));
        }
    }

    private void refuse(RuntimeException refusal) {
        incoming.close();
        dropping = true;
        cancelTimer();
        timer = schedule(this::stopDropping, DROPPING_MAX);
        result.completeExceptionally(refusal);
    }

    /// Checks once per timeout, not once per piece: a body is given up between one and two timeouts of silence.
    private void watch() {
        long silentNanos = System.nanoTime() - lastArrivalNanos;
        if (silentNanos < idleTimeout.toNanos()) {
            timer = schedule(this::watch, idleTimeout.minusNanos(silentNanos));
            return;
        }
        refuse(new ServiceException(ErrorCode.BODY_TIMEOUT,
                "no byte of the body came for " + idleTimeout.toMillis() + " ms, after " + arrived()));
    }

    private void stopDropping() {
        cancelTimer();
        cancel();
        channel.close();
    }

    private String arrived() {
        return arrivedBytes + (expectedLength >= 0 ? " of " + expectedLength : "") + " bytes";
    }

    private ScheduledFuture<?> schedule(Runnable task, Duration delay) {
        return channel.eventLoop().schedule(task, delay.toNanos(), TimeUnit.NANOSECONDS);
    }

    private void cancelTimer() {
        if (timer != null) {
            timer.cancel(false);
            timer = null;
        }
    }
}
