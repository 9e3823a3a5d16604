package dev.stepd.server;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;

/// A real server on a free port with a real client, as tests use them.
public final class RunningServer implements AutoCloseable {
    public static final String SAFETENSORS = "application/vnd.safetensors";
    public static final String JSON = "application/json";
    private static final ObjectMapper MAPPER = new ObjectMapper();

    /// A request; `type` and `body` are empty where it has none.
    public record Call(String method, String target, Map<String, String> headers, byte[] body) {
        public static Call of(String method, String target) {
            return new Call(method, target, Map.of(), new byte[0]);
        }

        public static Call json(String method, String target, String body) {
            return of(method, target).body(JSON, body.getBytes());
        }

        public static Call tensors(String method, String target, byte[] body) {
            return of(method, target).body(SAFETENSORS, body);
        }

        public Call body(String type, byte[] body) {
            return new Call(method, target, with("Content-Type", type), body);
        }

        public Call header(String name, String value) {
            return new Call(method, target, with(name, value), body);
        }

        private Map<String, String> with(String name, String value) {
            var more = new HashMap<>(headers);
            more.put(name, value);
            return more;
        }
    }

    private final Server server;
    private final HttpClient client = HttpClient.newHttpClient();

    private RunningServer(Server server) {
        this.server = server;
    }

    /// @param settings keys of `stepd.*` without the prefix
    public static RunningServer start(Path data, Map<String, String> settings) {
        var all = new HashMap<String, Object>();
        all.put("stepd.port", "0");
        all.put("stepd.data", data.toString());
        all.put("stepd.cuda", "off"); // whatever other tests have loaded, and whatever this machine has
        settings.forEach((key, value) -> all.put("stepd." + key, value));
        return new RunningServer(Server.start(all));
    }

    public URI address() {
        return URI.create(server.address());
    }

    public <T> T bean(Class<T> type) {
        return server.bean(type);
    }

    public HttpResponse<byte[]> send(Call call) {
        var request = HttpRequest.newBuilder(URI.create(server.address() + call.target()))
                .timeout(Duration.ofSeconds(60))
                .method(call.method(), call.body().length == 0 ? BodyPublishers.noBody() : BodyPublishers.ofByteArray(call.body()));
        call.headers().forEach(request::header);
        try {
            return client.send(request.build(), BodyHandlers.ofByteArray());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    public static JsonNode json(HttpResponse<byte[]> response) {
        try {
            return MAPPER.readTree(response.body());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /// Creates a session and gives its path.
    public String session(String description) {
        var response = send(Call.json("POST", "/v1/sessions", description));
        if (response.statusCode() != 201) {
            throw new IllegalStateException(new String(response.body()));
        }
        return response.headers().firstValue("Location").orElseThrow();
    }

    @Override
    public void close() {
        client.close();
        server.close();
    }
}
