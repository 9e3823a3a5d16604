package dev.stepd.http;

import dev.stepd.tensor.SafetensorsMessage;
import io.micronaut.http.ServerHttpRequest;
import io.micronaut.http.body.CloseableByteBody;
import io.micronaut.http.netty.body.NettyByteBodyFactory;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.CompositeByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.handler.codec.http.DefaultHttpHeaders;
import io.netty.handler.codec.http.HttpHeaderNames;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import reactor.core.publisher.Flux;

/// Sends a message from the memory it lies in. The memory's lease ends when the last buffer over it is let go,
/// by the socket that took its bytes or by a connection that died, whichever it is.
final class TensorReply {
    /// Bytes of one buffer when a message needs several. A ByteBuf counts in ints; the bound is lower because the
    /// connection counts as idle until a whole buffer is out.
    private static final long PIECE_BYTES = 64L << 20;

    private TensorReply() {}

    /// @param release run exactly once, from any thread
    static CloseableByteBody body(ServerHttpRequest<?> request, SafetensorsMessage message, Runnable release) {
        return body(request, message, release, PIECE_BYTES);
    }

    static CloseableByteBody body(ServerHttpRequest<?> request, SafetensorsMessage message, Runnable release, long pieceBytes) {
        var factory = (NettyByteBodyFactory) request.byteBodyFactory();
        if (message.byteCount() <= pieceBytes) {
            return factory.adapt(whole(message, release));
        }
        var lease = new Lease(release);
        var length = new DefaultHttpHeaders().set(HttpHeaderNames.CONTENT_LENGTH, message.byteCount());
        var pieces = pieces(message, pieceBytes);
        var buffers = Flux.range(-1, pieces.size() + 1)
                .map(i -> lease.buffer(i < 0 ? header(message) : direct(pieces.get(i))))
                .doFinally(end -> lease.end());
        return factory.adapt(buffers, length, lease::end);
    }

    private static ByteBuf whole(SafetensorsMessage message, Runnable release) {
        var all = new Leased(release, message.data().size() + 1);
        all.addComponent(true, header(message));
        for (var segment : message.data()) {
            if (segment.byteSize() > 0) {
                all.addComponent(true, direct(segment));
            }
        }
        return all;
    }

    private static ByteBuf header(SafetensorsMessage message) {
        return Unpooled.wrappedBuffer(message.header().duplicate());
    }

    private static ByteBuf direct(MemorySegment segment) {
        return Unpooled.wrappedBuffer(segment.asByteBuffer());
    }

    private static List<MemorySegment> pieces(SafetensorsMessage message, long pieceBytes) {
        var pieces = new ArrayList<MemorySegment>();
        for (var segment : message.data()) {
            for (long start = 0; start < segment.byteSize(); start += pieceBytes) {
                pieces.add(segment.asSlice(start, Math.min(pieceBytes, segment.byteSize() - start)));
            }
        }
        return pieces;
    }

    /// Counts the buffers that are out, and the sender itself, over memory that several buffers share.
    private static final class Lease {
        private final Runnable release;
        private final AtomicInteger holders = new AtomicInteger(1);
        private final AtomicInteger senders = new AtomicInteger(1);

        Lease(Runnable release) {
            this.release = release;
        }

        ByteBuf buffer(ByteBuf bytes) {
            holders.incrementAndGet();
            var leased = new Leased(this::letGo, 1);
            leased.addComponent(true, bytes);
            return leased;
        }

        /// The sender makes no further buffer.
        void end() {
            if (senders.getAndDecrement() == 1) {
                letGo();
            }
        }

        private void letGo() {
            if (holders.decrementAndGet() == 0) {
                release.run();
            }
        }
    }

    /// Netty tells of a buffer's end through this method only.
    private static final class Leased extends CompositeByteBuf {
        private final Runnable release;

        Leased(Runnable release, int components) {
            super(ByteBufAllocator.DEFAULT, true, Math.max(2, components));
            this.release = release;
        }

        @Override
        protected void deallocate() {
            super.deallocate();
            release.run();
        }
    }
}
