package dev.stepd.http;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.session.Incoming;
import dev.stepd.tensor.SafetensorsMessage;
import io.micronaut.context.annotation.Requires;
import io.micronaut.http.HttpResponse;
import io.micronaut.http.MediaType;
import io.micronaut.http.ServerHttpRequest;
import io.micronaut.http.annotation.Consumes;
import io.micronaut.http.annotation.Controller;
import io.micronaut.http.annotation.Post;
import io.micronaut.http.annotation.Produces;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Semaphore;

/// Sends a body back from the memory it was received in: the streaming of the step path with no session behind it.
@Controller("/echo")
@Requires(property = "stepd.test.echo", value = "true")
@Consumes(MediaType.ALL)
@Produces(MediaType.ALL)
final class EchoController {
    /// A permit for every incoming that was closed, for every reply that was released.
    final Semaphore closed = new Semaphore(0);
    final Semaphore released = new Semaphore(0);

    private final BodyReceiver receiver;

    EchoController(BodyReceiver receiver) {
        this.receiver = receiver;
    }

    /// `?refuse-at=N` refuses the body at its Nth byte, `?piece=N` sends it in buffers of that many.
    @Post
    CompletionStage<HttpResponse<?>> echo(ServerHttpRequest<?> request) {
        var query = QueryParameters.of(request, "refuse-at", "piece", "refuse");
        int refuseAt = query.integer("refuse-at", Integer.MAX_VALUE, 0, Integer.MAX_VALUE);
        int piece = query.integer("piece", 1 << 30, 1, 1 << 30);
        return receiver.receive(request, length -> {
            if (query.flag("refuse")) {
                throw new ServiceException(ErrorCode.CONFLICT, "refused before the first byte");
            }
            return new Echo(length < 0 ? 64 << 20 : length, refuseAt);
        }).thenApply(bytes -> {
            var message = new SafetensorsMessage(ByteBuffer.allocate(0), List.of(bytes));
            return HttpResponse.ok(TensorReply.body(request, message, released::release, piece));
        });
    }

    private final class Echo implements Incoming<MemorySegment> {
        private final MemorySegment segment;
        private final long refuseAt;
        private long position;

        Echo(long bytes, long refuseAt) {
            segment = Arena.ofAuto().allocate(Math.max(1, bytes), 64);
            this.refuseAt = refuseAt;
        }

        @Override
        public void write(ByteBuffer chunk) {
            if (position + chunk.remaining() > refuseAt) {
                throw new ServiceException(ErrorCode.INVALID_VALUE, "refused at byte " + refuseAt);
            }
            var bytes = MemorySegment.ofBuffer(chunk);
            MemorySegment.copy(bytes, 0, segment, position, bytes.byteSize());
            position += bytes.byteSize();
        }

        @Override
        public CompletionStage<MemorySegment> finish() {
            return CompletableFuture.supplyAsync(() -> segment.asSlice(0, position));
        }

        @Override
        public void close() {
            closed.release();
        }
    }
}
