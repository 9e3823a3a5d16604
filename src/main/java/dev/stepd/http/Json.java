package dev.stepd.http;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonFactoryBuilder;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// JSON as maps, lists, strings, numbers, booleans and nulls. Strict when reading: a duplicate key, a NaN, a
/// comment or anything after the value is a breach, because a client that sends one means something else.
final class Json {
    private static final int NESTING_MAX = 64;

    /// Keys are not interned: they come from clients, and a table of them would only grow.
    static final JsonFactory FACTORY = new JsonFactoryBuilder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
            .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
            .streamReadConstraints(StreamReadConstraints.builder().maxNestingDepth(NESTING_MAX).build())
            .build();

    /// Something that reads a document token by token.
    interface Reading<T> {
        T from(JsonParser parser) throws IOException;
    }

    private Json() {}

    /// The one value of a document.
    ///
    /// @throws ServiceException MALFORMED_BODY with line and column
    static Object parse(InputStream bytes) {
        return read(bytes, parser -> {
            parser.nextToken();
            return value(parser);
        });
    }

    /// Runs `reading` over a document and sees that nothing follows it.
    ///
    /// @throws ServiceException MALFORMED_BODY with line and column; what `reading` throws
    static <T> T read(InputStream bytes, Reading<T> reading) {
        try (var parser = FACTORY.createParser(bytes)) {
            try {
                var result = reading.from(parser);
                if (parser.nextToken() != null) {
                    throw malformed(parser, "there is more after the end of the JSON value");
                }
                return result;
            } catch (JacksonException e) {
                throw malformed(parser.currentLocation(), e.getOriginalMessage().lines().findFirst().orElse("unreadable"));
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static ServiceException malformed(JsonParser parser, String reason) {
        return malformed(parser.currentTokenLocation(), reason);
    }

    /// The value as UTF-8. A number JSON has no word for (NaN, infinity) becomes null.
    static byte[] bytes(Object value) {
        var out = new ByteArrayOutputStream(512);
        try (var generator = FACTORY.createGenerator(out)) {
            write(generator, value);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return out.toByteArray();
    }

    static void write(JsonGenerator out, Object value) throws IOException {
        switch (value) {
            case null -> out.writeNull();
            case Map<?, ?> map -> {
                out.writeStartObject();
                for (var entry : map.entrySet()) {
                    out.writeFieldName((String) entry.getKey());
                    write(out, entry.getValue());
                }
                out.writeEndObject();
            }
            case Iterable<?> list -> {
                out.writeStartArray();
                for (var element : list) {
                    write(out, element);
                }
                out.writeEndArray();
            }
            case Boolean bool -> out.writeBoolean(bool);
            case Integer number -> out.writeNumber(number);
            case Long number -> out.writeNumber(number);
            case Float number -> writeFinite(out, number);
            case Double number -> writeFinite(out, number);
            case Number number -> out.writeNumber(number.toString());
            default -> out.writeString(value.toString());
        }
    }

    static void writeFinite(JsonGenerator out, double number) throws IOException {
        if (Double.isFinite(number)) {
            out.writeNumber(number);
        } else {
            out.writeNull();
        }
    }

    static void writeFinite(JsonGenerator out, float number) throws IOException {
        if (Float.isFinite(number)) {
            out.writeNumber(number);
        } else {
            out.writeNull();
        }
    }

    private static Object value(JsonParser parser) throws IOException {
        return switch (parser.currentToken()) {
            case START_OBJECT -> object(parser);
            case START_ARRAY -> array(parser);
            case VALUE_STRING -> parser.getText();
            case VALUE_NUMBER_INT -> parser.getNumberValue();
            case VALUE_NUMBER_FLOAT -> parser.getDoubleValue();
            case VALUE_TRUE -> true;
            case VALUE_FALSE -> false;
            case VALUE_NULL -> null;
            case null, default -> throw malformed(parser, "the body is empty, expected a JSON value");
        };
    }

    private static Map<String, Object> object(JsonParser parser) throws IOException {
        var fields = new LinkedHashMap<String, Object>();
        for (var name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
            parser.nextToken();
            fields.put(name, value(parser));
        }
        return fields;
    }

    private static List<Object> array(JsonParser parser) throws IOException {
        var elements = new ArrayList<Object>();
        while (parser.nextToken() != JsonToken.END_ARRAY) {
            elements.add(value(parser));
        }
        return elements;
    }

    private static ServiceException malformed(JsonLocation at, String reason) {
        return new ServiceException(ErrorCode.MALFORMED_BODY,
                "JSON line " + at.getLineNr() + ", column " + at.getColumnNr() + ": " + reason);
    }
}
