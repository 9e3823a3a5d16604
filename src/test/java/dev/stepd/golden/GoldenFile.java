package dev.stepd.golden;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.stepd.engine.Stepper;
import dev.stepd.engine.Values;
import dev.stepd.rule.Catalogue;
import dev.stepd.rule.Preset;
import dev.stepd.rule.Rule;
import dev.stepd.rule.Spec;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.URISyntaxException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;

/// One recorded trajectory, read from `src/test/resources/golden/<optimizer>/<config>.safetensors`.
public record GoldenFile(String optimizer, String config, JsonNode header, ByteBuffer data) {
    private static final Path ROOT = root();
    private static final ObjectMapper JSON = new ObjectMapper();

    /// The order in which references visit the tensors.
    private static final List<String> NAMES = List.of("dense.weight", "dense.bias", "conv.kernel");

    /// Beside the tests' classes, which a bundle holds without their sources.
    private static Path root() {
        try {
            return Path.of(Objects.requireNonNull(GoldenFile.class.getResource("/golden")).toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    /// The trajectory's tensors and their shapes, in the order references visit them.
    public Map<String, List<Long>> tensors() {
        var tensors = new LinkedHashMap<String, List<Long>>();
        for (var name : NAMES) {
            var shape = new ArrayList<Long>();
            var parameter = header.get("param/" + name + "/0");
            if (parameter != null) {
                parameter.get("shape").forEach(extent -> shape.add(extent.asLong()));
                tensors.put(name, shape);
            }
        }
        return tensors;
    }

    /// Whether the file bounds a parameter's error by the largest magnitude in its tensor, not element by element.
    public boolean boundsWholeTensors() {
        return !header.get("__metadata__").has("format");
    }

    /// Every file of the given optimizers' folders.
    public static Stream<GoldenFile> of(List<String> optimizers) {
        return optimizers.stream().flatMap(optimizer -> {
            try (var files = Files.list(ROOT.resolve(optimizer))) {
                return files.sorted().map(GoldenFile::read).toList().stream();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
    }

    /// Every file of the presets for formats, whose states are codes.
    public static Stream<GoldenFile> ofFormats() {
        return of(Catalogue.presets().stream().filter(Catalogue::isFormat).map(preset -> preset.spec().name()).toList());
    }

    /// Every file of every name the catalogue has, presets included, but those for formats.
    public static Stream<GoldenFile> ofCatalogue() {
        return of(names());
    }

    /// The first file of every name the catalogue has.
    public static Stream<GoldenFile> firstOfEach() {
        return names().stream().map(name -> of(List.of(name)).findFirst().orElseThrow());
    }

    /// Every name but those of methods that nobody's code could be run of: they have tests of their own, such as `LionKTest` and
    /// `ComplexMomentumTest`.
    private static List<String> names() {
        var presets = Catalogue.presets().stream().filter(preset -> !Catalogue.isFormat(preset));
        return Stream.concat(Catalogue.rules().stream().map(Rule::spec), presets.map(Preset::spec))
                .map(Spec::name)
                .filter(name -> !name.equals("lion_k") && !name.equals("complex_momentum"))
                .toList();
    }

    private static GoldenFile read(Path file) {
        try {
            var bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
            int length = Math.toIntExact(bytes.getLong(0));
            var header = JSON.readTree(new String(bytes.array(), 8, length, StandardCharsets.UTF_8));
            var data = bytes.slice(8 + length, bytes.capacity() - 8 - length).order(ByteOrder.LITTLE_ENDIAN);
            var name = file.getFileName().toString();
            return new GoldenFile(
                    file.getParent().getFileName().toString(), name.substring(0, name.indexOf('.')), header, data);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public int steps() {
        return Integer.parseInt(metadata("steps"));
    }

    public String metadata(String key) {
        return header.get("__metadata__").get(key).asText();
    }

    public double tolerance(String key) {
        return Double.parseDouble(metadata(key));
    }

    /// The optimizer's description: the file's configuration under its folder's name.
    @SuppressWarnings("unchecked")
    public Map<String, Object> description() {
        try {
            var description = new LinkedHashMap<String, Object>(JSON.readValue(metadata("config"), Map.class));
            description.put("name", optimizer);
            return description;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public Optional<float[]> find(String key) {
        return Optional.ofNullable(header.get(key)).map(entry -> {
            int begin = entry.get("data_offsets").get(0).asInt();
            int end = entry.get("data_offsets").get(1).asInt();
            var values = new float[(end - begin) / Float.BYTES];
            for (int i = 0; i < values.length; i++) {
                values[i] = data.getFloat(begin + i * Float.BYTES);
            }
            return values;
        });
    }

    /// Whole numbers: bytes without sign, 16 and 32 bits with theirs.
    public int[] whole(String key) {
        var entry = header.get(key);
        int begin = entry.get("data_offsets").get(0).asInt();
        int end = entry.get("data_offsets").get(1).asInt();
        int bytes = switch (entry.get("dtype").asText()) {
            case "U8" -> 1;
            case "I16" -> 2;
            case "I32" -> 4;
            case String other -> throw new IllegalStateException(key + " is " + other);
        };
        var values = new int[(end - begin) / bytes];
        for (int i = 0; i < values.length; i++) {
            int at = begin + i * bytes;
            values[i] = bytes == 1 ? data.get(at) & 0xff : bytes == 2 ? data.getShort(at) : data.getInt(at);
        }
        return values;
    }

    /// The keys that begin with `prefix`.
    public List<String> keys(String prefix) {
        var keys = new ArrayList<String>();
        header.fieldNames().forEachRemaining(keys::add);
        return keys.stream().filter(key -> key.startsWith(prefix)).toList();
    }

    /// The bytes of an array of codes.
    public Optional<byte[]> codes(String key) {
        return Optional.ofNullable(header.get(key)).filter(entry -> entry.get("dtype").asText().equals("U8")).map(entry -> {
            int begin = entry.get("data_offsets").get(0).asInt();
            var bytes = new byte[entry.get("data_offsets").get(1).asInt() - begin];
            data.duplicate().position(begin).get(bytes);
            return bytes;
        });
    }

    public float[] get(String key) {
        return find(key).orElseThrow(() -> new IllegalStateException(this + " has no " + key));
    }

    /// An input of a step beside its gradients, tensor after tensor, if the step had it.
    ///
    /// @param spec what the rule calls it
    public Optional<List<float[]>> input(Spec.InputSpec spec, int t) {
        var of = spec.scope().isElement() ? NAMES : List.of("_global");
        var values = of.stream().flatMap(name -> find("input/" + spec.name() + "/" + name + "/" + t).stream()).toList();
        return values.isEmpty() ? Optional.empty() : Optional.of(values);
    }

    /// Puts all that comes with a step where the engine wants it.
    ///
    /// @return which extra inputs the step has
    BitSet fill(Stepper stepper, MemorySegment body, int t) {
        var layout = stepper.layout();
        for (var place : layout.places()) {
            put(get("grad/" + place.tensor().name() + "/" + t), body, place.offset() * Float.BYTES);
        }
        var given = new BitSet();
        var inputs = stepper.body().inputs();
        for (int i = 0; i < inputs.size(); i++) {
            var input = inputs.get(i);
            var values = input(input.spec(), t);
            given.set(i, values.isPresent());
            if (values.isPresent() && input.spec().scope().isElement()) {
                layout.places().forEach(place -> put(
                        values.get().get(place.index()), body, input.offset() + place.offset() * Float.BYTES));
            } else {
                values.ifPresent(one -> put(one.getFirst(), body, input.offset()));
            }
        }
        return given;
    }

    /// Slots as they are before the first step, where that is random.
    ///
    /// @return by `<tensor>#<slot>`
    Map<String, float[]> starts() {
        var starts = new LinkedHashMap<String, float[]>();
        for (var key : states(0)) {
            var parts = key.split("/");
            starts.put(parts[2] + "#" + parts[1], get(key));
        }
        return starts;
    }

    /// Puts parameters, and slots that start at random, where a stepper keeps them.
    void start(Stepper stepper) {
        for (var part : stepper.parameters()) {
            Values.put(get("param/" + part.key() + "/0"), part.array());
        }
        stepper.parametersLoaded();
        var starts = starts();
        for (var part : stepper.slots()) {
            if (starts.containsKey(part.key())) {
                Values.put(starts.get(part.key()), part.array());
            }
        }
    }

    private static void put(float[] values, MemorySegment body, long offset) {
        MemorySegment.copy(values, 0, body, ValueLayout.JAVA_FLOAT, offset, values.length);
    }

    /// The keys of the states recorded after a step.
    public List<String> states(int t) {
        var keys = new ArrayList<String>();
        header.fieldNames().forEachRemaining(keys::add);
        return keys.stream().filter(key -> key.startsWith("state/") && key.endsWith("/" + t)).filter(this::isUsed).toList();
    }

    /// MARS's own code writes down the last gradient of tensors that it treats as AdamW does, which never reads it, and has
    /// second moments with mars-lion.
    private boolean isUsed(String key) {
        boolean other = !key.contains("dense.weight") && !metadata("config").contains("\"optimize_1d\": true");
        boolean idle = key.contains("/last_grad/") && other || config.equals("lion") && key.contains("/exp_avg_sq/");
        return !(optimizer.equals("mars") && idle);
    }

    @Override
    public String toString() {
        return optimizer + "/" + config;
    }
}
