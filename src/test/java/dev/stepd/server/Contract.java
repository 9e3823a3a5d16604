package dev.stepd.server;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.networknt.schema.JsonSchema;
import com.networknt.schema.JsonSchemaFactory;
import com.networknt.schema.SchemaValidatorsConfig;
import com.networknt.schema.SpecVersion;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.yaml.snakeyaml.Yaml;

/// `openapi/stepd.yaml`, as something responses can be held to.
final class Contract {
    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final List<String> VERBS = List.of("get", "put", "post", "delete", "patch");
    private static final JsonSchemaFactory SCHEMAS = JsonSchemaFactory.getInstance(SpecVersion.VersionFlag.V202012);

    private final JsonNode document;

    private Contract(JsonNode document) {
        this.document = document;
    }

    static Contract read(String yaml) {
        // a schema is checked on its own, with the document's others under the name JSON Schema gives them
        return new Contract(MAPPER.valueToTree(new Yaml().load(yaml.replace("#/components/schemas/", "#/$defs/"))));
    }

    static String file() {
        try {
            return Files.readString(Path.of("openapi/stepd.yaml"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /// `GET /v1/sessions/{id}` of every operation.
    Set<String> operations() {
        var operations = new TreeSet<String>();
        document.get("paths").fields().forEachRemaining(path -> path.getValue().fieldNames().forEachRemaining(verb -> {
            if (VERBS.contains(verb)) {
                operations.add(verb.toUpperCase() + " " + path.getKey());
            }
        }));
        return operations;
    }

    /// The statuses below 400 an operation documents, and 501.
    Set<Integer> outcomes(String operation) {
        var statuses = new TreeSet<Integer>();
        operation(operation).get("responses").fieldNames().forEachRemaining(status -> {
            if (status.startsWith("2") || status.equals("501")) {
                statuses.add(Integer.parseInt(status));
            }
        });
        return statuses;
    }

    /// Holds a response to what the operation documents: status, required headers, content type, schema.
    void check(String operation, HttpResponse<byte[]> response) {
        var what = operation + " answered " + response.statusCode() + " " + text(response);
        var responses = operation(operation).get("responses");
        var documented = responses.get(Integer.toString(response.statusCode()));
        if (documented == null && response.statusCode() >= 400) {
            documented = responses.get("default");
        }
        assertThat(documented).as("%s, which is not documented", what).isNotNull();
        documented = resolved(documented);
        checkHeaders(what, documented, response);
        checkBody(what, documented, response);
    }

    private void checkHeaders(String what, JsonNode documented, HttpResponse<byte[]> response) {
        documented.path("headers").fields().forEachRemaining(entry -> {
            var header = resolved(entry.getValue());
            var value = response.headers().firstValue(entry.getKey());
            if (header.path("required").asBoolean()) {
                assertThat(value).as("%s without %s", what, entry.getKey()).isPresent();
            }
            value.ifPresent(text -> assertThat(schema(header.get("schema")).validate(headerValue(header, text)))
                    .as("%s with %s: %s", what, entry.getKey(), text).isEmpty());
        });
    }

    private static JsonNode headerValue(JsonNode header, String text) {
        return switch (header.get("schema").path("type").asText()) {
            case "integer" -> MAPPER.getNodeFactory().numberNode(Long.parseLong(text));
            case "number" -> MAPPER.getNodeFactory().numberNode(Double.parseDouble(text));
            default -> MAPPER.getNodeFactory().textNode(text);
        };
    }

    private void checkBody(String what, JsonNode documented, HttpResponse<byte[]> response) {
        var content = documented.path("content");
        if (content.isMissingNode()) {
            assertThat(response.body()).as(what).isEmpty();
            return;
        }
        var type = response.headers().firstValue("Content-Type").orElse("").replaceAll(";.*", "");
        var media = content.get(type);
        assertThat(media).as("%s as %s, which is not documented", what, type).isNotNull();
        if (type.endsWith("json")) {
            assertThat(schema(media.get("schema")).validate(RunningServer.json(response))).as(what).isEmpty();
        }
    }

    /// A schema of the document, able to reach the document's others.
    private JsonSchema schema(JsonNode schema) {
        ObjectNode root = schema.deepCopy();
        root.set("$defs", document.at("/components/schemas"));
        return SCHEMAS.getSchema(root, SchemaValidatorsConfig.builder().formatAssertionsEnabled(true).build());
    }

    private JsonNode operation(String operation) {
        var parts = operation.split(" ");
        return document.get("paths").get(parts[1]).get(parts[0].toLowerCase());
    }

    private JsonNode resolved(JsonNode node) {
        return node.has("$ref") ? document.at(node.get("$ref").asText().substring(1)) : node;
    }

    private static String text(HttpResponse<byte[]> response) {
        var text = new String(response.body());
        return text.length() > 300 ? text.substring(0, 300) : text;
    }
}
