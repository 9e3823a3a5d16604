package dev.stepd.http;

import dev.stepd.session.Event;
import dev.stepd.session.EventStream;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.EventLoop;
import io.netty.util.concurrent.ScheduledFuture;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import org.reactivestreams.Subscriber;
import org.reactivestreams.Subscription;

/// A session's events as `text/event-stream`, as fast as the connection takes them and no faster. All of it runs on the
/// connection's event loop; a stream that nothing happens on costs a timer.
final class EventFeed implements Publisher<ByteBuf>, Subscription {
    /// Bytes of text in a piece, about.
    private static final int PIECE_BYTES = 16 << 10;
    private static final String GREETING = "retry: 2000\n\n";
    private static final String KEEP_ALIVE = ": nothing new\n\n";

    private final EventLoop loop;
    private final Duration keepAlive;
    private final EventStream stream;
    private @Nullable Subscriber<? super ByteBuf> reader;
    private @Nullable ScheduledFuture<?> timer;
    private String first = GREETING;
    private long wanted;
    private boolean quiet;
    private boolean over;

    /// @param open opens the stream, given what it is to call when it is ready
    /// @param keepAlive after so long without an event a comment is sent
    EventFeed(EventLoop loop, Duration keepAlive, Function<Runnable, EventStream> open) {
        this.loop = loop;
        this.keepAlive = keepAlive;
        this.stream = open.apply(() -> loop.execute(this::send));
    }

    @Override
    public void subscribe(Subscriber<? super ByteBuf> subscriber) {
        reader = subscriber;
        subscriber.onSubscribe(this);
        timer = loop.scheduleAtFixedRate(this::stayAlive, keepAlive.toNanos(), keepAlive.toNanos(), TimeUnit.NANOSECONDS);
    }

    @Override
    public void request(long count) {
        loop.execute(() -> {
            wanted = wanted + count < 0 ? Long.MAX_VALUE : wanted + count;
            send();
        });
    }

    @Override
    public void cancel() {
        loop.execute(this::end);
    }

    /// Nobody will read it.
    void discard() {
        cancel();
    }

    private void send() {
        while (!over && wanted > 0) {
            var text = text();
            if (!text.isEmpty()) {
                put(text);
            } else if (stream.hasEnded()) {
                end();
                reader.onComplete();
                return;
            } else {
                return;
            }
        }
    }

    /// What there is to tell, as much as a piece takes.
    private String text() {
        var text = new StringBuilder(first);
        first = "";
        while (text.length() < PIECE_BYTES) {
            var event = stream.next();
            if (event.isEmpty()) {
                break;
            }
            append(text, event.get());
        }
        return text.toString();
    }

    private static void append(StringBuilder text, Event event) {
        text.append("id: ").append(event.id()).append("\nevent: ").append(event.name())
                .append("\ndata: ").append(new String(Json.bytes(event.data()), StandardCharsets.UTF_8)).append("\n\n");
    }

    private void put(String text) {
        wanted--;
        quiet = false;
        reader.onNext(Unpooled.copiedBuffer(text, StandardCharsets.UTF_8));
    }

    private void stayAlive() {
        if (!over && quiet && wanted > 0) {
            put(KEEP_ALIVE);
        }
        quiet = true;
    }

    private void end() {
        over = true;
        stream.close();
        if (timer != null) {
            timer.cancel(false);
        }
    }
}
