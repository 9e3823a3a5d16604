package dev.stepd.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

/// Whatever arrives in whatever pieces, the receiver answers with its own exception or takes the body, and keeps to its memory.
class SafetensorsFuzzTest {
    private static final Set<ErrorCode> ALLOWED = Set.of(ErrorCode.MALFORMED_BODY, ErrorCode.UNKNOWN_NAME);
    private static final String JSON = """
            {"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"__metadata__":{"step":"7"},\
            "b":{"dtype":"BF16","shape":[],"data_offsets":[24,26]},"c":{"dtype":"F16","shape":[5],"data_offsets":[26,36]}}""";

    @Property(tries = 3000)
    void survivesMutatedBodies(@ForAll("mutations") List<long[]> mutations, @ForAll Random random) {
        var data = new byte[36];
        random.nextBytes(data);
        var body = Bodies.body(JSON, data);
        for (var mutation : mutations) {
            body = mutate(body, mutation);
        }
        feed(body, random, random.nextBoolean() ? body.length : SafetensorsReceiver.UNKNOWN_LENGTH);
    }

    @Property(tries = 1000)
    void survivesArbitraryBytes(@ForAll byte[] bytes, @ForAll Random random) {
        feed(bytes, random, SafetensorsReceiver.UNKNOWN_LENGTH);
        feed(Bodies.body(bytes, bytes), random, 8 + 2L * bytes.length);
    }

    @Property(tries = 1000)
    void survivesArbitraryJson(@ForAll("json") String json, @ForAll Random random) {
        var body = Bodies.body(json, new byte[random.nextInt(40)]);
        feed(body, random, body.length);
    }

    @Property(tries = 300)
    void takesEveryGoodBodyInAnyPieces(@ForAll Random random) {
        var data = new byte[36];
        random.nextBytes(data);
        var body = Bodies.body(JSON, data);
        assertThat(feed(body, random, body.length)).isTrue();
    }

    @Provide
    Arbitrary<List<long[]>> mutations() {
        var one = Arbitraries.longs().array(long[].class).ofSize(3);
        return one.list().ofMinSize(1).ofMaxSize(4);
    }

    @Provide
    Arbitrary<String> json() {
        var tokens = Arbitraries.of("{", "}", "[", "]", ":", ",", "\"a\"", "\"dtype\"", "\"F32\"", "\"shape\"",
                "\"data_offsets\"", "\"__metadata__\"", "0", "4", "-1", "1e3", "9223372036854775807", "null", "true",
                "{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}", "\"\\ud83d\"", " ");
        return tokens.list().ofMaxSize(30).map(list -> "{" + String.join("", list));
    }

    private static byte[] mutate(byte[] body, long[] how) {
        if (body.length == 0) {
            return body;
        }
        int at = (int) Math.floorMod(how[1], (long) body.length);
        var bytes = body.clone();
        return switch ((int) Math.floorMod(how[0], 5L)) {
            case 0 -> java.util.Arrays.copyOf(bytes, at);
            case 1 -> java.util.Arrays.copyOf(bytes, body.length + at);
            case 2 -> {
                var digit = "0123456789{}[],:\"-.e".charAt((int) Math.floorMod(how[2], 20L));
                bytes[at] = (byte) digit;
                yield bytes;
            }
            case 3 -> {
                bytes[at % Math.min(8, bytes.length)] = (byte) how[2];
                yield bytes;
            }
            default -> {
                bytes[at] ^= (byte) (1 << Math.floorMod(how[2], 8L));
                yield bytes;
            }
        };
    }

    /// Whether the body was taken.
    private static boolean feed(byte[] body, Random random, long contentLength) {
        try (var into = new Bodies.Guarded()) {
            var budget = new ArrayList<Long>();
            var receiver = new SafetensorsReceiver(new HeaderReader(4096), contentLength, header -> {
                budget.add(header.dataBytes());
                if (header.dataBytes() > 1 << 20) {
                    throw new ServiceException(ErrorCode.MALFORMED_BODY, "more than this session needs");
                }
                return into.choose(header);
            });
            try {
                for (int at = 0; at < body.length; ) {
                    int count = Math.min(1 + random.nextInt(17), body.length - at);
                    receiver.write(random.nextBoolean()
                            ? ByteBuffer.wrap(body, at, count)
                            : ByteBuffer.allocateDirect(count).put(body, at, count).flip());
                    at += count;
                }
                receiver.finish();
                return true;
            } catch (ServiceException e) {
                assertThat(e.code()).isIn(ALLOWED);
                return false;
            } finally {
                assertThat(into.intact()).isTrue();
            }
        }
    }
}
