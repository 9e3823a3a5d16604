package dev.stepd.golden;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.stepd.rule.Settings;
import dev.stepd.server.RunningServer;
import dev.stepd.server.RunningServer.Call;
import dev.stepd.server.Tensors;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// A client that only adds the deltas it is sent follows the authors' own code, and holds the server's bits.
class GoldenOverHttpTest {
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

    /// The first configuration of each optimizer.
    static Stream<GoldenFile> files() {
        return GoldenFile.firstOfEach();
    }

    @ParameterizedTest
    @MethodSource("files")
    void replaysOverHttp(GoldenFile file) throws Exception {
        var session = server.session(new ObjectMapper().writeValueAsString(Map.of(
                "optimizer", file.description(),
                "tensors", file.tensors().entrySet().stream()
                        .map(e -> Map.of("name", e.getKey(), "shape", e.getValue())).toList())));
        var parameters = new LinkedHashMap<String, float[]>();
        file.tensors().keySet().forEach(name -> parameters.put(name, file.get("param/" + name + "/0")));
        assertThat(server.send(Call.tensors("PUT", session + "/parameters", body(file, parameters))).statusCode()).isEqualTo(200);
        if (!file.starts().isEmpty()) {
            assertThat(server.send(Call.tensors("PUT", session + "/state", body(file, file.starts()))).statusCode()).isEqualTo(200);
        }
        for (int t = 1; t <= file.steps(); t++) {
            var answer = server.send(Call.tensors("POST", session + "/steps", gradients(file, t)).header("Stepd-Step", "" + t));
            assertThat(answer.statusCode()).isEqualTo(200);
            add(parameters, Tensors.byName(answer.body()));
            for (var parameter : parameters.entrySet()) {
                Closeness.checkParameter(file, parameter.getKey(), t, parameter.getValue());
            }
        }
        var kept = Tensors.byName(server.send(Call.of("GET", session + "/parameters")).body());
        parameters.forEach((name, values) -> assertThat(kept.get(name)).as(name).isEqualTo(values));
    }

    static byte[] gradients(GoldenFile file, int t) {
        var gradients = new LinkedHashMap<String, float[]>();
        file.tensors().keySet().forEach(name -> gradients.put(name, file.get("grad/" + name + "/" + t)));
        for (var input : Settings.read(file.description(), List.of(), null).rule().spec().inputs()) {
            var names = input.scope().isElement() ? List.copyOf(file.tensors().keySet()) : List.of("");
            file.input(input, t).ifPresent(values -> {
                for (int i = 0; i < values.size(); i++) {
                    gradients.put(input.key(names.get(i)), values.get(i));
                }
            });
        }
        return body(file, gradients);
    }

    static byte[] body(GoldenFile file, Map<String, float[]> tensors) {
        var body = Tensors.none();
        tensors.forEach((key, values) -> {
            var shape = file.tensors().getOrDefault(key.replaceFirst("#.*", ""), List.of(1L));
            body.with(key, shape.stream().mapToLong(Long::longValue).toArray(), values);
        });
        return body.body();
    }

    private static void add(Map<String, float[]> parameters, Map<String, float[]> deltas) {
        assertThat(deltas).containsOnlyKeys(parameters.keySet());
        parameters.forEach((name, values) -> {
            for (int i = 0; i < values.length; i++) {
                values[i] += deltas.get(name)[i];
            }
        });
    }
}
