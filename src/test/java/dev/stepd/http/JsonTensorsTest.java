package dev.stepd.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.session.Incoming;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.SafetensorsMessage;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// JSON tensors become the safetensors body they stand for, and come back from one.
class JsonTensorsTest {
    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "{\"w\": 1.5}                        | {\"w\":1.5}",
        "{\"w\": []}                         | {\"w\":[]}",
        "{\"w\": [[], []]}                   | {\"w\":[[],[]]}",
        "{\"w\": [[1, 2], [3, 4]], \"b\": [5]} | {\"w\":[[1.0,2.0],[3.0,4.0]],\"b\":[5.0]}",
        "{\"w\": [[[1], [2]], [[3], [4]]]}   | {\"w\":[[[1.0],[2.0]],[[3.0],[4.0]]]}",
        "{\"w\": [0.1, 16777217, -0.0]}      | {\"w\":[0.1,1.6777216E7,-0.0]}",
        "{}                                  | {}",
    })
    void comesBackInTheSameShape(String tensors, String expected) {
        assertThat(throughSafetensors(tensors, DType.F32)).isEqualTo(expected);
    }

    @ParameterizedTest
    @CsvSource({"F64,0.1", "F32,0.1", "F16,0.099975586", "BF16,0.100097656"})
    void numberIsTheNearestOfItsDtype(DType dtype, String expected) {
        assertThat(throughSafetensors("{\"w\": [0.1]}", dtype)).isEqualTo("{\"w\":[" + expected + "]}");
    }

    @Property(tries = 500)
    void everyFiniteFloatComesBackAsItself(@ForAll int bits) {
        float value = Float.intBitsToFloat(bits);
        if (Float.isFinite(value)) {
            assertThat(throughSafetensors("{\"w\": " + value + "}", DType.F32)).isEqualTo("{\"w\":" + value + "}");
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "{\"gradients\": {\"w\": [[1, 2], [3]]}}       | INVALID_VALUE  | gradients.w[1] has 1 elements where 2",
        "{\"gradients\": {\"w\": [[1], []]}}           | INVALID_VALUE  | gradients.w[1] has 0 elements where 1",
        "{\"gradients\": {\"w\": [[], [1]]}}           | INVALID_VALUE  | gradients.w[1] has 1 elements where 0",
        "{\"gradients\": {\"w\": [1, [2]]}}            | INVALID_VALUE  | gradients.w[1] is an array where a number",
        "{\"gradients\": {\"w\": [[1], 2]}}            | INVALID_VALUE  | gradients.w[1] is a number where an array",
        "{\"gradients\": {\"w\": [[], 2]}}             | INVALID_VALUE  | gradients.w[1] is a number where an array",
        "{\"gradients\": {\"w\": [0, 1e39]}}           | INVALID_VALUE  | gradients.w[1] is 1e39, beyond F32",
        "{\"gradients\": {\"w\": [[0], [-1e400]]}}     | INVALID_VALUE  | gradients.w[1][0] is -1e400, beyond F32",
        "{\"gradients\": {\"w\": [null]}}              | INVALID_VALUE  | gradients.w[0] is null, expected a number",
        "{\"gradients\": {\"w\": \"1\"}}               | INVALID_VALUE  | gradients.w is 1, expected a number",
        "{\"gradients\": {\"w\": [NaN]}}               | MALFORMED_BODY | line 1, column",
        "{\"gradients\": {\"w\": 1, \"w\": 2}}         | MALFORMED_BODY | Duplicate field 'w'",
        "{\"gradients\": {}, \"gradients\": {}}        | MALFORMED_BODY | Duplicate field 'gradients'",
        "{\"gradients\": []}                           | INVALID_VALUE  | gradients must be an object",
        "{\"gradient\": {}}                            | UNKNOWN_NAME   | did you mean \"gradients\"",
        "{}                                            | INVALID_VALUE  | gradients is missing",
        "[]                                            | MALFORMED_BODY | expected an object",
        "{\"gradients\": {}} {}                        | MALFORMED_BODY | more after the end",
        "{\"gradients\": {\"w\": [1                    | MALFORMED_BODY | line 1",
    })
    void refusesWhatOnlyJsonCanGetWrong(String body, ErrorCode code, String detail) {
        assertThatThrownBy(() -> JsonTensors.read(stream(body), "gradients", name -> DType.F32))
                .isInstanceOfSatisfying(ServiceException.class, e -> assertThat(e.code()).isEqualTo(code))
                .hasMessageContaining(detail);
    }

    @ParameterizedTest
    @CsvSource({"F16,65520", "BF16,3.4e38", "F32,3.5e38", "F64,1e309"})
    void refusesNumbersThatRoundToInfinity(DType dtype, String number) {
        assertThatThrownBy(() -> JsonTensors.read(stream("{\"gradients\": {\"w\": [" + number + "]}}"), "gradients", name -> dtype))
                .hasMessage("gradients.w[0] is " + number + ", beyond " + dtype);
    }

    @Test
    void deepNestingIsRefusedBeforeTheStackIs() {
        var body = "{\"gradients\": {\"w\": " + "[".repeat(100_000) + "]".repeat(100_000) + "}}";
        assertThatThrownBy(() -> JsonTensors.read(stream(body), "gradients", name -> DType.F32))
                .isInstanceOfSatisfying(ServiceException.class, e -> assertThat(e.code()).isEqualTo(ErrorCode.MALFORMED_BODY));
    }

    @Test
    void numbersJsonHasNoWordForBecomeNull() {
        var data = ByteBuffer.allocateDirect(8).order(ByteOrder.LITTLE_ENDIAN).putFloat(Float.NaN).putFloat(Float.NEGATIVE_INFINITY);
        var message = message(Map.of("w", Map.of("dtype", "F32", "shape", List.of(2), "data_offsets", List.of(0, 8))), data.flip());
        assertThat(new String(TensorJson.bytes(Map.of("step", 3), "deltas", message)))
                .isEqualTo("{\"step\":3,\"deltas\":{\"w\":[null,null]}}");
    }

    /// In every process the same: else a step that is sent again after a restart would be taken for another one.
    @Test
    void theBodyItStandsForIsTheSameInEveryProcess() {
        var out = new ByteArrayOutputStream();
        try (var read = JsonTensors.read(stream("{\"p\": {\"w\": [1, 2], \"b\": 3}}"), "p", name -> DType.F32)) {
            read.pourInto(new Collecting(out));
        }
        assertThat(out.toString(StandardCharsets.US_ASCII)).contains(
                "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[8,12]}}");
    }

    /// The tensors as JSON again, through the safetensors body they made.
    private static String throughSafetensors(String tensors, DType dtype) {
        var out = new ByteArrayOutputStream();
        try (var read = JsonTensors.read(stream("{\"p\": " + tensors + "}"), "p", name -> dtype)) {
            long promised = read.byteCount();
            read.pourInto(new Collecting(out));
            assertThat(out.size()).isEqualTo(promised);
        }
        var body = ByteBuffer.wrap(out.toByteArray()).order(ByteOrder.LITTLE_ENDIAN);
        int headerBytes = Long.BYTES + (int) body.getLong(0);
        var message = new SafetensorsMessage(body.slice(0, headerBytes),
                List.of(MemorySegment.ofBuffer(body.slice(headerBytes, body.remaining() - headerBytes))));
        var json = new String(TensorJson.bytes(Map.of(), "p", message));
        return json.substring("{\"p\":".length(), json.length() - 1);
    }

    private static SafetensorsMessage message(Map<String, Object> header, ByteBuffer data) {
        var json = Json.bytes(header);
        var framed = ByteBuffer.allocate(8 + json.length).order(ByteOrder.LITTLE_ENDIAN).putLong(json.length).put(json).flip();
        return new SafetensorsMessage(framed, List.of(MemorySegment.ofBuffer(data)));
    }

    private static ByteArrayInputStream stream(String json) {
        return new ByteArrayInputStream(json.getBytes(StandardCharsets.UTF_8));
    }

    private record Collecting(ByteArrayOutputStream out) implements Incoming<Void> {
        @Override
        public void write(ByteBuffer chunk) {
            while (chunk.hasRemaining()) {
                out.write(chunk.get());
            }
        }

        @Override
        public CompletionStage<Void> finish() {
            return CompletableFuture.completedFuture(null);
        }

        @Override
        public void close() {}
    }
}
