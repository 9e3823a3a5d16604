package dev.stepd.tensor;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.tensor.SafetensorsHeader.Entry;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Reads and writes the JSON of a [SafetensorsHeader].
///
/// The bytes are decoded as strict UTF-8 before the JSON parser sees them: left to itself it would guess UTF-16 from
/// zero bytes and let surrogates through. Names are not kept beyond the parse, so that no client fills a shared table.
final class HeaderJson {
    private static final String METADATA = "__metadata__";
    private static final int NESTING_MAX = 8;

    private static final JsonFactory JSON = JsonFactory.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
            .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
            .streamReadConstraints(
                    StreamReadConstraints.builder().maxNestingDepth(NESTING_MAX).maxNumberLength(32).build())
            .build();

    private HeaderJson() {}

    static SafetensorsHeader parse(byte[] json, int length) {
        var utf8 = StandardCharsets.UTF_8
                .newDecoder()
                .onMalformedInput(CodingErrorAction.REPORT)
                .onUnmappableCharacter(CodingErrorAction.REPORT);
        try (var parser = JSON.createParser(
                new InputStreamReader(new ByteArrayInputStream(json, 0, length), utf8))) {
            return header(parser);
        } catch (CharacterCodingException e) {
            throw malformed("the safetensors header is not UTF-8", e);
        } catch (JsonProcessingException e) {
            throw malformed("the safetensors header is no valid JSON: " + e.getOriginalMessage(), e);
        } catch (IOException e) {
            throw new UncheckedIOException(e); // memory does not fail to read
        }
    }

    static ByteArrayOutputStream write(SafetensorsHeader header) {
        var bytes = new ByteArrayOutputStream();
        try (var json = JSON.createGenerator(bytes)) {
            json.writeStartObject();
            if (!header.metadata().isEmpty()) {
                json.writeObjectFieldStart(METADATA);
                for (var pair : header.metadata().entrySet()) {
                    json.writeStringField(pair.getKey(), pair.getValue());
                }
                json.writeEndObject();
            }
            for (var entry : header.entries()) {
                json.writeObjectFieldStart(entry.key());
                json.writeStringField("dtype", entry.dtype().name());
                json.writeArrayFieldStart("shape");
                for (long extent : entry.shape().extents()) {
                    json.writeNumber(extent);
                }
                json.writeEndArray();
                json.writeArrayFieldStart("data_offsets");
                json.writeNumber(entry.begin());
                json.writeNumber(entry.end());
                json.writeEndArray();
                json.writeEndObject();
            }
            json.writeEndObject();
        } catch (IOException e) {
            throw new UncheckedIOException(e); // memory does not fail to write
        }
        return bytes;
    }

    private static SafetensorsHeader header(JsonParser parser) throws IOException {
        expect(parser.nextToken(), JsonToken.START_OBJECT, "the safetensors header", "an object");
        var entries = new ArrayList<Entry>();
        Map<String, String> metadata = Map.of();
        while (parser.nextToken() != JsonToken.END_OBJECT) {
            var key = text(parser.currentName());
            if (key.equals(METADATA)) {
                metadata = metadata(parser);
            } else {
                entries.add(entry(key, parser));
            }
        }
        if (parser.nextToken() != null) {
            throw malformed("the safetensors header goes on behind its closing brace");
        }
        // empty tensors share their place with the one that follows: the end decides
        entries.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
        checkPlaces(entries);
        return new SafetensorsHeader(entries, metadata);
    }

    private static void checkPlaces(List<Entry> entries) {
        long end = 0;
        for (var entry : entries) {
            if (entry.begin() != end) {
                throw malformed(named(entry.key()) + " begins at byte " + entry.begin() + " of the data, "
                        + (entry.begin() < end ? "inside the one before it, which ends at " : "leaving a hole behind ")
                        + end);
            }
            end = entry.end();
        }
    }

    private static Map<String, String> metadata(JsonParser parser) throws IOException {
        expect(parser.nextToken(), JsonToken.START_OBJECT, METADATA, "an object");
        var metadata = new LinkedHashMap<String, String>();
        while (parser.nextToken() != JsonToken.END_OBJECT) {
            var key = text(parser.currentName());
            expect(parser.nextToken(), JsonToken.VALUE_STRING, METADATA + "." + shown(key), "a string");
            metadata.put(key, text(parser.getText()));
        }
        return metadata;
    }

    private static Entry entry(String key, JsonParser parser) throws IOException {
        expect(parser.nextToken(), JsonToken.START_OBJECT, named(key), "an object");
        var fields = new EntryFields(key);
        while (parser.nextToken() != JsonToken.END_OBJECT) {
            var field = parser.currentName();
            var token = parser.nextToken();
            switch (field) {
                case "dtype" -> {
                    expect(token, JsonToken.VALUE_STRING, named(key) + " dtype", "a string");
                    fields.dtype = text(parser.getText());
                }
                case "shape" -> fields.shape = longs(parser, token, named(key) + " shape");
                case "data_offsets" -> fields.offsets = longs(parser, token, named(key) + " data_offsets");
                default -> throw malformed(
                        named(key) + " has the unknown field " + shown(field) + ", known are dtype, shape, data_offsets");
            }
        }
        return fields.entry();
    }

    private static List<Long> longs(JsonParser parser, JsonToken first, String what) throws IOException {
        expect(first, JsonToken.START_ARRAY, what, "an array");
        var values = new ArrayList<Long>();
        while (parser.nextToken() != JsonToken.END_ARRAY) {
            expect(parser.currentToken(), JsonToken.VALUE_NUMBER_INT, what, "an array of whole numbers");
            long value = parser.getLongValue();
            if (value < 0) {
                throw malformed(what + " holds " + value + ", the least is 0");
            }
            values.add(value);
        }
        return values;
    }

    private static void expect(JsonToken token, JsonToken expected, String what, String description) {
        if (token != expected) {
            throw malformed(what + " is not " + description);
        }
    }

    /// JSON can spell half of a surrogate pair; nothing that stores or sends the name later could.
    private static String text(String text) {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (Character.isSurrogate(c)) {
                boolean pair = Character.isHighSurrogate(c) && i + 1 < text.length()
                        && Character.isLowSurrogate(text.charAt(i + 1));
                if (!pair) {
                    throw malformed("the safetensors header holds a lone surrogate in " + shown(text));
                }
                i++;
            }
        }
        return text;
    }

    static String named(String key) {
        return "tensor " + shown(key);
    }

    private static String shown(String text) {
        return text.length() > 80 ? text.substring(0, 80) + "..." : text;
    }

    static ServiceException malformed(String message) {
        return new ServiceException(ErrorCode.MALFORMED_BODY, message);
    }

    static ServiceException malformed(String message, Throwable cause) {
        return new ServiceException(ErrorCode.MALFORMED_BODY, message, cause);
    }
}
