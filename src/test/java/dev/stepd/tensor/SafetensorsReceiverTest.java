package dev.stepd.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SafetensorsReceiverTest {
    private static final long LIMIT = 4096;
    private final HeaderReader reader = new HeaderReader(LIMIT);

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 7, 8, 9, 64, 1_000_000})
    void takesTensorsInChunksOfAnySize(int chunk) {
        var json = """
                {"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]},"__metadata__":{"step":"7"},\
                "a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"none":{"dtype":"I64","shape":[3,0],"data_offsets":[4,4]},\
                "h":{"dtype":"F16","shape":[3],"data_offsets":[12,18]},"g":{"dtype":"BF16","shape":[1,1],"data_offsets":[18,20]}}""";
        var data = ByteBuffer.allocate(20).order(ByteOrder.LITTLE_ENDIAN)
                .putFloat(1.5f).putFloat(-2).putFloat(Float.MIN_VALUE)
                .putShort((short) 0x3c00).putShort((short) 0xc500).putShort((short) 0x0001).putShort((short) 0x3fc0).array();
        try (var into = new Bodies.Guarded()) {
            var print = receive(Bodies.body(json, data), chunk, into);
            assertThat(into.values("a")).containsExactly(1.5f);
            assertThat(into.values("b")).containsExactly(-2, Float.MIN_VALUE);
            assertThat(into.values("h")).containsExactly(1, -5, (float) Math.scalb(1.0, -24));
            assertThat(into.values("g")).containsExactly(1.5f);
            assertThat(into.intact()).isTrue();
            assertThat(print).isEqualTo(receive(Bodies.body(json, data), 5, new Bodies.Guarded()));
        }
    }

    @Test
    void showsTheWholeHeaderBeforeAnyData() {
        var seen = new ArrayList<SafetensorsHeader>();
        var body = Bodies.floats("w", 1, 2);
        var receiver = new SafetensorsReceiver(reader, body.length, header -> {
            seen.add(header);
            throw new ServiceException(ErrorCode.UNKNOWN_NAME, "no tensor w");
        });
        assertThatThrownBy(() -> receiver.write(ByteBuffer.wrap(body, 0, body.length - 8)))
                .hasMessage("no tensor w");
        assertThat(seen).hasSize(1);
        assertThat(seen.getFirst().entries().getFirst().key()).isEqualTo("w");
        assertThatThrownBy(() -> receiver.write(ByteBuffer.wrap(body, body.length - 8, 8))).hasMessage("no tensor w");
        assertThatThrownBy(receiver::finish).hasMessage("no tensor w");
    }

    @Test
    void widensEveryF16AndBf16ExactlyAtAnySplit() {
        for (var dtype : List.of(DType.F16, DType.BF16)) {
            var data = ByteBuffer.allocate(1 << 17).order(ByteOrder.LITTLE_ENDIAN);
            for (int bits = 0; bits < 1 << 16; bits++) {
                data.putShort((short) bits);
            }
            var json = "{\"w\":{\"dtype\":\"" + dtype + "\",\"shape\":[65536],\"data_offsets\":[0,131072]}}";
            try (var into = new Bodies.Guarded()) {
                receive(Bodies.body(json, data.array()), 4099, into);
                var values = into.values("w");
                for (int bits = 0; bits < 1 << 16; bits++) {
                    float expected = dtype == DType.F16
                            ? Float.float16ToFloat((short) bits)
                            : Float.intBitsToFloat(bits << 16);
                    assertThat(Float.floatToRawIntBits(values[bits])).isEqualTo(Float.floatToRawIntBits(expected));
                }
            }
        }
    }

    @Test
    void tellsTwoBodiesApart() {
        var a = receive(Bodies.floats("w", 1, 2), 3, new Bodies.Guarded());
        var b = receive(Bodies.floats("w", 1, 2.0000002f), 3, new Bodies.Guarded());
        assertThat(a).isNotEqualTo(b);
    }

    @Test
    void readsTheSameHeaderOnlyOnce() {
        var seen = new ArrayList<SafetensorsHeader>();
        for (int i = 0; i < 2; i++) {
            var body = Bodies.floats("w", i, 2);
            var receiver = new SafetensorsReceiver(reader, body.length, header -> {
                seen.add(header);
                return new Bodies.Guarded().choose(header);
            });
            receiver.write(ByteBuffer.wrap(body));
            receiver.finish();
        }
        assertThat(seen.get(0)).isSameAs(seen.get(1));
    }

    @Test
    void takesABodyThatDoesNotTellItsLength() {
        var body = Bodies.floats("w", 1, 2);
        try (var into = new Bodies.Guarded()) {
            var receiver = new SafetensorsReceiver(reader, SafetensorsReceiver.UNKNOWN_LENGTH, into);
            receiver.write(ByteBuffer.wrap(body));
            assertThat(receiver.finish().byteCount()).isEqualTo(body.length);
            assertThatThrownBy(() -> receiver.write(ByteBuffer.wrap(new byte[1])))
                    .hasMessageContaining("goes on behind the " + body.length + " bytes");
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 7, 8, 20, 62, 63, 66})
    void refusesABodyThatWasCut(int length) {
        var body = Bodies.floats("w", 1, 2);
        var receiver = new SafetensorsReceiver(reader, SafetensorsReceiver.UNKNOWN_LENGTH, new Bodies.Guarded());
        receiver.write(ByteBuffer.wrap(body, 0, length));
        assertMalformed(receiver::finish, "the body ends after " + length + " bytes");
    }

    @Test
    void knowsTheLengthIsWrongOnceTheHeaderIsHere() {
        var body = Bodies.floats("w", 1, 2);
        for (int wrong : new int[] {body.length - 1, body.length + 1}) {
            var receiver = new SafetensorsReceiver(reader, wrong, new Bodies.Guarded());
            assertMalformed(() -> receiver.write(ByteBuffer.wrap(body, 0, body.length - 8)),
                    "the body has " + wrong + " bytes, its safetensors header announces " + body.length);
        }
    }

    @Test
    void refusesAHeaderLengthOutOfBounds() {
        for (long length : new long[] {0, 1, LIMIT + 1, Long.MAX_VALUE, -1}) {
            var prefix = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(length).flip();
            assertMalformed(() -> receiver(SafetensorsReceiver.UNKNOWN_LENGTH).write(prefix),
                    "the safetensors header has " + Long.toUnsignedString(length) + " bytes, allowed are 2 to 4096");
        }
        var prefix = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(100).flip();
        assertMalformed(() -> receiver(107).write(prefix), "header has 100 bytes, the whole body only 107");
    }

    @Test
    void refusesAHeaderThatDoesNotBeginWithABrace() {
        assertMalformed(() -> receive(Bodies.body(" {}", new byte[0]), 100, new Bodies.Guarded()), "begins with byte 32");
        assertMalformed(() -> receive(Bodies.body("[]", new byte[0]), 100, new Bodies.Guarded()), "begins with byte 91");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}} | leaving a hole behind 0",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"v\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[2,6]}} | inside the one before it",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"v\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}} | inside the one before it",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}} | F32 [2] needs 8",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}} | before it begins",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}} | has 3 numbers",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}} | more than 2^63-1",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}} | more than 2^63-1",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[3037000500,3037000500,2],\"data_offsets\":[0,0]}} | more than 2^63-1",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,0]}} | no valid JSON",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}} | holds -1",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}} | array of whole numbers",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[\"1\"],\"data_offsets\":[0,4]}} | array of whole numbers",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[[1]],\"data_offsets\":[0,4]}} | array of whole numbers",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}} | is not an array",
        "{\"w\":{\"dtype\":1,\"shape\":[1],\"data_offsets\":[0,4]}} | dtype is not a string",
        "{\"w\":{\"shape\":[1],\"data_offsets\":[0,4]}} | lacks dtype",
        "{\"w\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}} | lacks shape",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[1]}} | lacks data_offsets",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":{}}} | unknown field x",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,4]}} | Duplicate field 'shape'",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"w\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[4,4]}} | Duplicate field 'w'",
        "{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"\\u0077\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[4,4]}} | Duplicate field 'w'",
        "{\"__metadata__\":{\"a\":1}} | __metadata__.a is not a string",
        "{\"__metadata__\":{\"a\":null}} | __metadata__.a is not a string",
        "{\"__metadata__\":[]} | __metadata__ is not an object",
        "{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}} | Duplicate field 'a'",
        "{\"__metadata__\":{},\"__metadata__\":{}} | Duplicate field",
        "{\"w\":null} | is not an object",
        "{} {} | goes on behind",
        "{}] | no valid JSON",
        "{\"w\": | no valid JSON",
        "{\"\\ud800\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}} | lone surrogate",
        "{\"__metadata__\":{\"a\":\"\\udc00\\ud800\"}} | lone surrogate",
        "{'w':{}} | no valid JSON",
    })
    void refusesAHeaderThatBreaksARule(String json, String reason) {
        var body = Bodies.body(json, new byte[8]);
        assertMalformed(() -> receive(body, 1 << 20, new Bodies.Guarded()), reason);
    }

    @Test
    void refusesAnUnknownDtypeWithTheNearest() {
        var body = Bodies.body("{\"w\":{\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]}}", new byte[4]);
        assertThatThrownBy(() -> receive(body, 100, new Bodies.Guarded()))
                .isInstanceOfSatisfying(ServiceException.class, e -> assertThat(e.code()).isEqualTo(ErrorCode.UNKNOWN_NAME))
                .hasMessageContaining("tensor w").hasMessageContaining("f32").hasMessageContaining("F32");
    }

    @Test
    void refusesBytesThatAreNoUtf8() {
        byte[][] wrong = {{'"', (byte) 0xff, '"'}, {'"', (byte) 0xed, (byte) 0xa0, (byte) 0x80, '"'}, {'"', (byte) 0xc0, (byte) 0x80, '"'}};
        for (var name : wrong) {
            var json = ByteBuffer.allocate(1 + name.length + 8).put((byte) '{').put(name)
                    .put(":{}}    ".getBytes(StandardCharsets.US_ASCII)).array();
            assertMalformed(() -> receive(Bodies.body(json, new byte[0]), 100, new Bodies.Guarded()), "not UTF-8");
        }
        var utf16 = "{}".getBytes(StandardCharsets.UTF_16LE);
        assertMalformed(() -> receive(Bodies.body(utf16, new byte[0]), 100, new Bodies.Guarded()), "no valid JSON");
    }

    @Test
    void refusesDeepNesting() {
        var body = Bodies.body("{\"w\":" + "[".repeat(1500) + "]".repeat(1500) + "}", new byte[0]);
        assertMalformed(() -> receive(body, 100, new Bodies.Guarded()), "is not an object");
    }

    @Test
    void acceptsPaddingAndNamesOfAnyScript() {
        var name = "层.😀\\u00e9";
        var body = Bodies.body("{\"" + name + "\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}   \n", Bodies.bytes(3));
        try (var into = new Bodies.Guarded()) {
            receive(body, 1, into);
            assertThat(into.values("层.😀é")).containsExactly(3);
        }
    }

    @Test
    void sendsWhatItCanReadAgain() {
        try (var arena = java.lang.foreign.Arena.ofConfined()) {
            var flat = arena.allocate(24, 8);
            flat.set(java.lang.foreign.ValueLayout.JAVA_FLOAT, 8, 42);
            var parts = List.of(
                    new Part("a \"quoted\"", DType.F32, Shape.of(2), flat.asSlice(0, 8)),
                    new Part("none", DType.F32, Shape.of(0, 7), flat.asSlice(8, 0)),
                    new Part("s", DType.F32, Shape.of(), flat.asSlice(8, 4)));
            var message = SafetensorsMessage.of(parts, Map.of("step", "3"));
            assertThat(message.header().remaining() % 8).isZero();
            assertThat(message.byteCount()).isEqualTo(Bodies.sent(message).length);
            try (var into = new Bodies.Guarded()) {
                receive(Bodies.sent(message), 11, into);
                assertThat(into.values("s")).containsExactly(42);
                assertThat(into.parts).extracting(Part::key).containsExactlyInAnyOrder("a \"quoted\"", "none", "s");
            }
            var header = SafetensorsHeader.of(parts, Map.of("step", "3"));
            assertThat(SafetensorsHeader.parse(header.json())).isEqualTo(header);
            assertThat(SafetensorsMessage.of(List.of(), Map.of()).byteCount()).isEqualTo(16);
        }
    }

    private SafetensorsReceiver receiver(long contentLength) {
        return new SafetensorsReceiver(reader, contentLength, new Bodies.Guarded());
    }

    private Fingerprint receive(byte[] body, int chunk, SafetensorsReceiver.Destinations into) {
        var receiver = new SafetensorsReceiver(reader, body.length, into);
        for (int at = 0; at < body.length; at += chunk) {
            var bytes = ByteBuffer.wrap(body, at, Math.min(chunk, body.length - at));
            receiver.write(bytes);
            assertThat(bytes.hasRemaining()).isFalse();
        }
        return receiver.finish();
    }

    private static void assertMalformed(org.assertj.core.api.ThrowableAssert.ThrowingCallable call, String reason) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(ServiceException.class, e -> assertThat(e.code()).isEqualTo(ErrorCode.MALFORMED_BODY))
                .hasMessageContaining(reason);
    }
}
