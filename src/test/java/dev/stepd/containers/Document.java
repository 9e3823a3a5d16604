package dev.stepd.containers;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;
import org.yaml.snakeyaml.Yaml;

/// A place in a YAML or JSON document.
record Document(@Nullable Object value) {
    static Document read(String file) throws IOException {
        return all(Path.of(file)).getFirst();
    }

    /// The documents of a file.
    static List<Document> all(Path file) throws IOException {
        return all(Files.readString(file));
    }

    static List<Document> all(String text) {
        return StreamSupport.stream(new Yaml().loadAll(text).spliterator(), false).map(Document::new).toList();
    }

    /// What stands at keys one in another; nothing where a key is absent.
    Document at(String... keys) {
        var place = this;
        for (var key : keys) {
            place = new Document(place.fields().get(key));
        }
        return place;
    }

    boolean absent() {
        return value == null;
    }

    String text() {
        return String.valueOf(value);
    }

    /// A time such as `30s` or `2m`.
    long seconds() {
        return Duration.parse("PT" + text().toUpperCase(Locale.ROOT)).toSeconds();
    }

    Map<String, Object> fields() {
        @SuppressWarnings("unchecked")
        var fields = value instanceof Map<?, ?> ? (Map<String, Object>) value : Map.<String, Object>of();
        return fields;
    }

    /// The entries of a list; none where there is none.
    List<Document> entries() {
        return value instanceof List<?> list ? list.stream().map(Document::new).toList() : List.of();
    }

    List<String> texts() {
        return entries().stream().map(Document::text).toList();
    }

    /// Every value under a key of this name, however deep.
    Stream<Document> anywhere(String key) {
        var here = fields().containsKey(key) ? Stream.of(at(key)) : Stream.<Document>empty();
        var below = Stream.concat(fields().values().stream().map(Document::new), entries().stream());
        return Stream.concat(here, below.flatMap(document -> document.anywhere(key)));
    }
}
