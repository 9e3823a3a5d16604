package dev.stepd.server;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.stepd.server.RunningServer.Call;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Formats of slots and parameters as clients meet them.
class FormatsOverHttpTest {
    private static final int ELEMENTS = 600;
    private static final int STEPS = 1000;

    @TempDir
    static Path data;

    private static RunningServer server;

    @BeforeAll
    static void start() {
        server = RunningServer.start(data, Map.of());
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    private static String session(String dtype, String more) throws Exception {
        return server.session("""
                {"optimizer": {"name": "adamw", "lr": 0.001}, "tensors": [{"name": "w", "shape": [600], "dtype": "%s"}]%s}"""
                .formatted(dtype, more));
    }

    private static float widened(String dtype, short bits) {
        return dtype.equals("BF16") ? Float.intBitsToFloat(bits << 16) : Float.float16ToFloat(bits);
    }

    private static short narrowed(String dtype, float value) {
        if (dtype.equals("F16")) {
            return Float.floatToFloat16(value);
        }
        int bits = Float.floatToRawIntBits(value);
        return (short) ((bits + 0x7fff + (bits >>> 16 & 1)) >>> 16);
    }

    private static ByteBuffer data(byte[] body) {
        var buffer = ByteBuffer.wrap(body).order(ByteOrder.LITTLE_ENDIAN);
        return buffer.position(8 + (int) buffer.getLong(0)).slice().order(ByteOrder.LITTLE_ENDIAN);
    }

    private static byte[] narrow(String dtype, short[] values) {
        var bytes = ByteBuffer.allocate(2 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        for (short value : values) {
            bytes.putShort(value);
        }
        return Tensors.none().with("w", dtype, new long[] {values.length}, bytes.array()).body();
    }

    /// A client that adds the deltas it is sent, in the dtype it is sent them, has the server's bits after a thousand steps. Steps far
    /// below half a unit of the last place still arrive, by way of the f32 master.
    @ParameterizedTest
    @ValueSource(strings = {"BF16", "F16"})
    void clientsOfTwoByteParametersNeverDrift(String dtype) throws Exception {
        var session = session(dtype, "");
        var random = new Random(7);
        var mine = new short[ELEMENTS];
        var first = new float[ELEMENTS];
        for (int i = 0; i < ELEMENTS; i++) {
            mine[i] = narrowed(dtype, 1 + random.nextFloat());
            first[i] = widened(dtype, mine[i]);
        }
        assertThat(server.send(Call.tensors("PUT", session + "/parameters", narrow(dtype, mine))).statusCode()).isEqualTo(200);
        var gradients = new short[ELEMENTS];
        for (int t = 1; t <= STEPS; t++) {
            for (int i = 0; i < ELEMENTS; i++) {
                gradients[i] = narrowed(dtype, 1 + 0.1f * random.nextFloat());
            }
            var answer = server.send(Call.tensors("POST", session + "/steps", narrow(dtype, gradients)));
            assertThat(answer.statusCode()).isEqualTo(200);
            var deltas = data(answer.body());
            assertThat(deltas.remaining()).isEqualTo(2 * ELEMENTS);
            for (int i = 0; i < ELEMENTS; i++) {
                mine[i] = narrowed(dtype, widened(dtype, mine[i]) + widened(dtype, deltas.getShort()));
            }
        }
        var kept = data(server.send(Call.of("GET", session + "/parameters")).body());
        for (int i = 0; i < ELEMENTS; i++) {
            assertThat(kept.getShort()).as("element %d", i).isEqualTo(mine[i]);
            assertThat(widened(dtype, mine[i])).as("element %d went down by about %d steps of 0.001", i, STEPS)
                    .isBetween(first[i] - 1.05f, first[i] - 0.95f);
        }
    }

    @Test
    void slotsExportAsTheyAreKeptAndInF32() throws Exception {
        var session = session("F32", ", \"state\": {\"format\": \"int8\", \"min_size\": 1}");
        server.send(Call.tensors("PUT", session + "/parameters", Tensors.f32("w", new float[ELEMENTS])));
        var gradient = new float[ELEMENTS];
        for (int i = 0; i < ELEMENTS; i++) {
            gradient[i] = (i - 300) / 300f;
        }
        assertThat(server.send(Call.tensors("POST", session + "/steps", Tensors.f32("w", gradient))).statusCode()).isEqualTo(200);
        var stored = server.send(Call.of("GET", session + "/state")).body();
        var header = new ObjectMapper().readTree(stored, 8, (int) ByteBuffer.wrap(stored).order(ByteOrder.LITTLE_ENDIAN).getLong());
        assertThat(header.get("w#exp_avg").get("dtype").asText()).isEqualTo("U8");
        assertThat(header.get("w#exp_avg.scale").get("shape").toString()).isEqualTo("[3]");
        assertThat(header.get("__metadata__").get("format.exp_avg").asText()).isEqualTo("int8 dynamic-signed-256 blocks of 256");
        assertThat(header.get("__metadata__").get("format.exp_avg_sq").asText()).startsWith("int8 dynamic-unsigned-256");
        var plain = Tensors.byName(server.send(Call.of("GET", session + "/state?format=f32")).body());
        assertThat(plain).containsOnlyKeys("w#exp_avg", "w#exp_avg_sq");
        for (int i = 0; i < ELEMENTS; i++) {
            assertThat(plain.get("w#exp_avg")[i]).isCloseTo(0.1f * gradient[i], org.assertj.core.api.Assertions.within(2e-3f));
        }
        var digest = new String(server.send(Call.of("GET", session + "/digest")).body());
        assertThat(server.send(Call.tensors("PUT", session + "/state", stored)).statusCode()).isEqualTo(200);
        assertThat(new String(server.send(Call.of("GET", session + "/digest")).body())).isEqualTo(digest);
        var inF32 = server.send(Call.of("GET", session + "/state?format=f32")).body();
        assertThat(server.send(Call.tensors("PUT", session + "/state", inF32)).statusCode()).as("not as it is kept").isEqualTo(422);
        assertThat(server.send(Call.tensors("PUT", session + "/state?format=f32", inF32)).statusCode()).isEqualTo(200);
        var again = Tensors.byName(server.send(Call.of("GET", session + "/state?format=f32")).body());
        for (int i = 0; i < ELEMENTS; i++) { // a block whose largest is negative is rounded once more: the book's least is above -1
            assertThat(again.get("w#exp_avg")[i]).isCloseTo(plain.get("w#exp_avg")[i], org.assertj.core.api.Assertions.within(2e-3f));
        }
    }

    /// Codes of another book have the same dtype and mean something else.
    @Test
    void refusesCodesOfAnotherBook() throws Exception {
        var eight = session("F32", ", \"state\": {\"format\": \"int8\", \"min_size\": 1}");
        var floats = session("F32", ", \"state\": {\"format\": \"fp8\", \"min_size\": 1}");
        var stored = server.send(Call.of("GET", floats + "/state")).body();
        var answer = server.send(Call.tensors("PUT", eight + "/state", stored));
        assertThat(answer.statusCode()).isEqualTo(422);
        assertThat(new String(answer.body())).contains("__metadata__.format.exp_avg is fp8", "int8 dynamic-signed-256");
        assertThat(server.send(Call.of("GET", eight + "/state?format=f16")).statusCode()).isEqualTo(400);
    }

    @Test
    void stateIsAsSmallAsItsFormat() throws Exception {
        var description = """
                {"optimizer": {"name": "adamw"}, "tensors": [{"name": "w", "shape": [1000, 1000]}], "state": {"format": "%s"}}""";
        long f32 = bytes(server.session(description.formatted("f32")));
        long int8 = bytes(server.session(description.formatted("int8")));
        long parameters = 4_000_000;
        assertThat((f32 - parameters) / 1e6).isBetween(8.0, 8.01);
        assertThat((int8 - parameters) / 1e6).isBetween(2.0, 2.1);
    }

    private static long bytes(String session) throws Exception {
        return new ObjectMapper().readTree(server.send(Call.of("GET", session)).body()).get("state_bytes").asLong();
    }
}
