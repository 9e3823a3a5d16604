package dev.stepd.http;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.session.Incoming;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.ByteBufInputStream;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Function;

/// A JSON body on its way in. It is gathered whole, up to a limit, before anything is made of it.
///
/// @param <T> what is made of it
final class JsonBody<T> implements Incoming<T> {
    private final long limitBytes;
    private final Function<InputStream, CompletionStage<T>> use;
    private final ByteBuf gathered = ByteBufAllocator.DEFAULT.directBuffer(1024);

    /// @param use reads the document; runs once, after its last byte
    JsonBody(long limitBytes, Function<InputStream, CompletionStage<T>> use) {
        this.limitBytes = limitBytes;
        this.use = use;
    }

    /// The document as a value.
    static Incoming<Object> value(long limitBytes) {
        return new JsonBody<>(limitBytes, bytes -> CompletableFuture.completedFuture(Json.parse(bytes)));
    }

    /// The document as a value, an empty object where there is none.
    static Incoming<Object> valueOrNone(long limitBytes) {
        return new JsonBody<>(limitBytes, bytes -> CompletableFuture.completedFuture(Json.parse(orEmptyObject(bytes))));
    }

    private static InputStream orEmptyObject(InputStream bytes) {
        try {
            return bytes.available() > 0 ? bytes : new ByteArrayInputStream(new byte[] {'{', '}'});
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void write(ByteBuffer chunk) {
        long bytes = (long) gathered.readableBytes() + chunk.remaining();
        if (bytes > limitBytes) {
            throw new ServiceException(ErrorCode.BODY_TOO_LARGE,
                    "the JSON body has more than " + limitBytes + " bytes, the limit; send tensors as " + Media.SAFETENSORS_TYPE);
        }
        gathered.writeBytes(chunk);
    }

    @Override
    public CompletionStage<T> finish() {
        return use.apply(new ByteBufInputStream(gathered));
    }

    @Override
    public void close() {
        if (gathered.refCnt() > 0) {
            gathered.release();
        }
    }
}
