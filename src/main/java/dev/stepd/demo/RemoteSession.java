package dev.stepd.demo;

import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.util.Map;

/// A session on the server.
final class RemoteSession {
    private static final String JSON = "application/json";
    private static final TensorBody TENSORS = new TensorBody(Network.TENSORS);

    /// @param wasReplayed the step had been taken before, and its answer got lost
    /// @param wasLost the connection broke before this answer came
    record Stepped(boolean wasReplayed, boolean wasLost) {}

    private final Connection connection;
    private final String path;

    private RemoteSession(Connection connection, String path) {
        this.connection = connection;
        this.path = path;
    }

    static RemoteSession create(Connection connection, Map<String, Object> description) throws InterruptedException {
        var body = BodyPublishers.ofByteArray(Connection.json(description));
        var answer = connection.send("/v1/sessions", request(JSON).POST(body));
        return new RemoteSession(connection, answer.header("Location"));
    }

    void upload(float[] parameters) throws InterruptedException {
        var body = BodyPublishers.ofByteArray(TENSORS.write(parameters));
        connection.send(path + "/parameters", request(TensorBody.CONTENT_TYPE).PUT(body));
    }

    float[] parameters() throws InterruptedException {
        return TENSORS.read(connection.send(path + "/parameters", HttpRequest.newBuilder().GET()).body());
    }

    /// Takes step `number`, once however often it is sent, and adds its deltas to the parameters.
    ///
    /// @throws Refused as a step mismatch when the session stands elsewhere
    Stepped step(long number, float[] gradient, float[] parameters) throws InterruptedException {
        var request = request(TensorBody.CONTENT_TYPE)
                .header("Stepd-Step", Long.toString(number))
                .POST(BodyPublishers.ofByteArray(TENSORS.write(gradient)));
        var answer = connection.send(path + "/steps", request);
        var deltas = TENSORS.read(answer.body());
        for (int i = 0; i < parameters.length; i++) {
            parameters[i] += deltas[i];
        }
        return new Stepped(answer.header("Stepd-Replayed").equals("true"), answer.wasLost());
    }

    /// Finished steps: right after a restart, those that survived it.
    long step() throws InterruptedException {
        return connection.send(path, HttpRequest.newBuilder().GET()).json().path("step").asLong();
    }

    /// One hash over step, parameters and optimizer state.
    String digest() throws InterruptedException {
        return connection.send(path + "/digest", HttpRequest.newBuilder().GET()).json().path("digest").asText();
    }

    private static HttpRequest.Builder request(String contentType) {
        return HttpRequest.newBuilder().header("Content-Type", contentType);
    }
}
