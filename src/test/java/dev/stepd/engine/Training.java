package dev.stepd.engine;

import dev.stepd.device.Device;
import dev.stepd.device.HostRegion;
import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.rule.Catalogue;
import dev.stepd.rule.Clip;
import dev.stepd.rule.Composition;
import dev.stepd.rule.Hyperparameter;
import dev.stepd.rule.Rule;
import dev.stepd.rule.Settings;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import dev.stepd.tensor.TensorSpec;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// A session's stepper with made-up parameters and gradients: those of a tensor depend on its seed, the element and the
/// tensor's own step, so that the same tensor meets the same gradients in any company.
final class Training implements AutoCloseable {
    /// @param seed of the values
    /// @param first which element of all that the seed stands for is the tensor's first
    record Tensor(String name, Shape shape, long seed, long first) {
        static Tensor of(String name, long... extents) {
            return new Tensor(name, Shape.of(extents), name.hashCode(), 0);
        }
    }

    private final List<Tensor> tensors;
    private final Device device;
    private final Stepper stepper;
    private final HostRegion body;
    private final BitSet given = new BitSet();

    Training(Device device, List<Tensor> tensors, Engine.Blueprint blueprint) {
        this.device = device;
        this.tensors = List.copyOf(tensors);
        this.stepper = new Engine(device).create(blueprint);
        this.body = device.host().allocate(stepper.body().byteCount(), "a body");
        this.given.set(0, stepper.body().inputs().size());
        for (var part : stepper.parameters()) {
            Values.put(values((int) part.shape().elementCount(), tensor(part.key()), 0), part.array());
        }
        stepper.parametersLoaded();
        for (var part : RandomStarts.of(stepper, blueprint)) {
            if (part.dtype() == DType.F32) { // codes stay as they were drawn
                var tensor = tensor(part.key().substring(0, part.key().indexOf('#')));
                Values.put(values((int) part.shape().elementCount(), tensor, -2), part.array());
            }
        }
    }

    static Training of(List<Tensor> tensors, Map<String, Object> optimizer) {
        return new Training(new CpuDevice(1L << 28, 2), tensors, blueprint(tensors, optimizer, List.of(), null, null));
    }

    static Engine.Blueprint blueprint(
            List<Tensor> tensors,
            Map<String, Object> optimizer,
            List<Map<String, Object>> groups,
            @Nullable Object schedule,
            @Nullable Map<String, Object> clip) {
        var specs = tensors.stream().map(t -> new TensorSpec(t.name, t.shape, DType.F32)).toList();
        var composition = composition(optimizer);
        var clipped = new Composition(
                composition.optimizer(), composition.wrap(), composition.average(), clip, composition.state());
        return new Engine.Blueprint(specs, clipped, groups, schedule, Engine.NonFinite.REJECT);
    }

    /// What an optimizer is composed of, `wrap`, `average` and `state` among its settings.
    @SuppressWarnings("unchecked")
    static Composition composition(Map<String, Object> optimizer) {
        var alone = new LinkedHashMap<>(optimizer);
        var wrap = (List<Map<String, Object>>) alone.remove("wrap");
        var average = (Map<String, Object>) alone.remove("average");
        var state = (Map<String, Object>) alone.remove("state");
        return new Composition(alone, wrap == null ? List.of() : wrap, average, null, state);
    }

    static Settings settings(Map<String, Object> optimizer) {
        return Settings.read(composition(optimizer), List.of(), null);
    }

    /// The programs for each kind of tensors.
    static List<Recipe> recipes(Map<String, Object> optimizer) {
        return Recipe.each(settings(optimizer), Clip.read(composition(optimizer).expanded().clip()));
    }

    /// Every optimizer, as it is by default and with what it can decay and clip and carry switched on, every preset, and
    /// compositions of all there is.
    static Stream<Map<String, Object>> optimizers() {
        var rules = Catalogue.rules().stream().flatMap(
                rule -> Stream.of(Map.<String, Object>of("name", rule.spec().name()), full(rule)).distinct());
        var presets = Catalogue.presets().stream().map(preset -> Map.<String, Object>of("name", preset.spec().name()));
        return Stream.of(rules, presets, compositions()).flatMap(stream -> stream);
    }

    private static Stream<Map<String, Object>> compositions() {
        return Stream.of(
                Map.of("name", "grokfast", "filter", "ma", "window_size", 3),
                Map.of("name", "amsgrad", "decoupled", true, "weight_decay", 0.1,
                        "wrap", List.of(Map.of("name", "grokfast"), Map.of("name", "cautious"),
                                Map.of("name", "schedule_free", "warmup_steps", 3)),
                        "average", Map.of("name", "bema", "update_freq", 3, "update_after", 2)),
                Map.of("name", "sgd", "momentum", 0.8,
                        "wrap", List.of(Map.of("name", "lookahead", "k", 2, "pullback", "reset")),
                        "average", Map.of("name", "swa", "update_after", 2, "update_freq", 2)));
    }

    private static Map<String, Object> full(Rule rule) {
        var options = Map.of(
                "weight_decay", 0.1, "momentum", 0.8, "max_grad_norm", 0.5, "score_history", 3, "frozen", 0.3);
        var description = new LinkedHashMap<String, Object>(Map.of("name", rule.spec().name()));
        for (var hyperparameter : rule.spec().hyperparameters()) {
            if (hyperparameter instanceof Hyperparameter.Real real && options.containsKey(real.name())) {
                description.put(real.name(), options.get(real.name()));
            }
        }
        return description;
    }

    Stepper stepper() {
        return stepper;
    }

    Device device() {
        return device;
    }

    MemorySegment body() {
        return body.segment();
    }

    Tensor tensor(String name) {
        return tensors.stream().filter(t -> t.name.equals(name)).findFirst().orElseThrow();
    }

    /// A step of all tensors.
    Stepper.Outcome step() {
        return step(tensors.stream().map(Tensor::name).toList());
    }

    /// A step of some tensors.
    Stepper.Outcome step(List<String> names) {
        gradients(names);
        return stepper.step(body(), present(names), given);
    }

    BitSet present(List<String> names) {
        var present = new BitSet();
        stepper.layout().places().forEach(p -> present.set(p.index(), names.contains(p.tensor().name())));
        return present;
    }

    /// Every extra input the optimizer takes.
    BitSet given() {
        return given;
    }

    /// Puts the gradients and other inputs of the coming step in the body.
    void gradients(List<String> names) {
        for (var place : stepper.layout().places()) {
            var name = place.tensor().name();
            long t = names.contains(name) ? stepper.tensorSteps().get(place.index()) + 1 : -1;
            fill(at(place), tensor(name), t);
            for (var input : stepper.body().inputs()) {
                inputs(input, place, t);
            }
        }
    }

    private void inputs(BodyLayout.Input input, Layout.Place place, long t) {
        if (input.spec().scope().isElement()) {
            var tensor = tensor(place.tensor().name());
            var values = body().asSlice(input.offset() + place.offset() * Float.BYTES, place.elementCount() * Float.BYTES);
            fill(values, new Tensor(input.spec().name(), tensor.shape, tensor.seed + 1, tensor.first), t);
        } else {
            body().set(ValueLayout.JAVA_FLOAT, input.offset(), 0.75f);
        }
    }

    private MemorySegment at(Layout.Place place) {
        return body().asSlice(place.offset() * Float.BYTES, place.elementCount() * Float.BYTES);
    }

    private static void fill(MemorySegment values, Tensor tensor, long t) {
        values.copyFrom(MemorySegment.ofArray(values((int) (values.byteSize() / Float.BYTES), tensor, t)));
    }

    private static float[] values(int count, Tensor tensor, long t) {
        var values = new float[count];
        for (int i = 0; i < count; i++) {
            var random = new SplittableRandom(tensor.seed * 31 + (tensor.first + i) * 1_000_003 + t * 7_919);
            values[i] = (float) ((random.nextDouble() - 0.5) * Math.pow(10, random.nextInt(4) - 2));
        }
        return values;
    }

    /// The bits of every parameter, slot and delta.
    Map<String, List<Byte>> bits() {
        var bits = new LinkedHashMap<String, List<Byte>>();
        for (var part : Stream.concat(stepper.parameters().stream(), stepper.slots().stream()).toList()) {
            bits.put(part.key(), list(Values.bytes(part.array())));
        }
        stepper.layout().places().forEach(p -> bits.put("delta of " + p.tensor().name(), list(at(p).toArray(ValueLayout.JAVA_BYTE))));
        return bits;
    }

    /// The bits of a tensor's parameter, slots and delta, by what they are.
    Map<String, List<Byte>> bits(String tensor) {
        var bits = new LinkedHashMap<String, List<Byte>>();
        bits().forEach((key, value) -> {
            if (key.equals(tensor) || key.startsWith(tensor + "#") || key.equals("delta of " + tensor)) {
                bits.put(key.replace(tensor, ""), value);
            }
        });
        return bits;
    }

    static List<Byte> list(byte[] bytes) {
        var list = new ArrayList<Byte>();
        for (byte b : bytes) {
            list.add(b);
        }
        return list;
    }

    /// Copies what another session of the same description has, and goes on from there.
    void resumeFrom(Training other) {
        copy(other.stepper.parameters(), stepper.parameters());
        copy(other.stepper.slots(), stepper.slots());
        stepper.resumeAt(other.stepper.step(), other.stepper.tensorSteps());
    }

    private static void copy(List<StatePart> from, List<StatePart> to) {
        for (int i = 0; i < from.size(); i++) {
            Values.copy(from.get(i).array(), to.get(i).array());
        }
    }

    @Override
    public void close() {
        release();
        device.close();
    }

    /// Ends, but for the device, which others still use.
    void release() {
        body.close();
        stepper.close();
    }
}
