package dev.stepd.engine;

import dev.stepd.device.Array;
import dev.stepd.device.Body;
import dev.stepd.device.Device;
import dev.stepd.device.Domain;
import dev.stepd.device.HostArray;
import dev.stepd.device.Spans;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.rule.Inputs;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/// The tensors of one kind: what is kept of them, and the programs that move it. Owns both.
final class Partition implements AutoCloseable {
    private final Kind kind;
    private final List<Layout.Place> places;
    private final int from;
    private final Device device;
    private final Domain domain;
    private final StateArrays arrays;
    private final Map<Buffer, Array> bound;
    private final Map<Buffer, Long> inBody;
    private Recipe recipe;
    private Variants variants;
    private Spans spans = new Spans(List.of());
    private @Nullable Variant coming;

    /// @param from the layout's position of the first of them
    /// @param shared arrays of the session that programs may read or measure into
    /// @param hyper the hyperparameters of a group at the first step
    Partition(
            Recipe recipe,
            BodyLayout body,
            int from,
            Device device,
            Map<Buffer, Array> shared,
            boolean measuresNorms,
            IntFunction<Map<String, Double>> hyper) {
        this.kind = recipe.kind();
        this.places = body.layout().places(kind);
        this.from = from;
        this.device = device;
        this.domain = Layout.domain(places, recipe.settings().groupCount());
        this.recipe = recipe;
        this.arrays = new StateArrays(places, domain, recipe, device.memory());
        this.bound = new HashMap<>(shared);
        bound.putAll(arrays.all());
        try {
            arrays.initialize(hyper);
            draw(hyper);
        } catch (RuntimeException e) {
            arrays.close();
            throw e;
        }
        this.inBody = body.arrays(places.getFirst().offset());
        this.variants = variants(false, measuresNorms);
    }

    private Variants variants(boolean updatesParameters, boolean measuresNorms) {
        return new Variants(recipe, updatesParameters, measuresNorms, device, domain, bound, inBody);
    }

    /// Gives slots that start at random their values: what is drawn at step 0.
    private void draw(IntFunction<Map<String, Double>> hyper) {
        recipe.draw().ifPresent(plan -> {
            var names = Recipe.hostNames(recipe.settings());
            var all = new ArrayList<Spans.Span>();
            try (var draw = new Variant(plan, names, device, domain, bound, Map.of())) {
                for (int i = 0; i < places.size(); i++) {
                    var values = hyper.apply(places.get(i).group());
                    all.add(new Spans.Span(i, i + 1));
                    draw.prepare(all.getLast(), names.stream().mapToDouble(values::get).toArray(), 0, 0);
                }
                runAlone(draw, new Spans(all));
            }
        });
    }

    /// Gives slots that start at the parameter their values.
    ///
    /// @param all the tensors of the partition
    void startAtParameters(Spans all) {
        if (arrays.copiesParameters()) {
            arrays.copyParameters();
            return;
        }
        recipe.start().ifPresent(plan -> {
            try (var start = new Variant(plan, Recipe.hostNames(recipe.settings()), device, domain, bound, Map.of())) {
                runAlone(start, all);
            }
        });
    }

    /// Runs what uses nothing of a body.
    private void runAlone(Variant variant, Spans all) {
        try (var nothing = device.body(0, "nothing")) {
            variant.run(all, nothing);
        }
    }

    /// Bytes of the f32 values of what is kept in other formats.
    long plainBytes() {
        return recipe.stored().stream().filter(slot -> !slot.isPlain()).count() * plainBytesEach();
    }

    /// Bytes of the f32 values of one slot.
    long plainBytesEach() {
        return Math.ceilDiv(domain.count(Scope.ELEMENT) * Float.BYTES, 64) * 64;
    }

    /// Its slots in f32: those that are kept so where they are, the others written from `first` on.
    ///
    /// @param all the tensors of the partition
    /// @param into [#plainBytes] from there, and 64 more
    /// @param body holds `into`
    List<StatePart> plainSlots(Spans all, MemorySegment into, Body body, long first) {
        var plain = new HashMap<Stored, Array>();
        for (var slot : recipe.stored()) {
            if (!slot.isPlain()) {
                long at = first + plain.size() * plainBytesEach();
                var place = Map.of(Inputs.delta(Type.F32), at);
                try (var decode = new Variant(
                        Recipe.decode(slot), Recipe.hostNames(recipe.settings()), device, domain, bound, place)) {
                    decode.run(all, body);
                }
                plain.put(slot, new HostArray(into.asSlice(at, domain.count(Scope.ELEMENT) * Float.BYTES)));
            }
        }
        return arrays.slots(plain);
    }

    /// Gives slots values as rules know them, whatever they are kept in.
    ///
    /// @param values by `<tensor>#<slot>`; what is not there stays
    /// @param through as much as [#plainBytesEach] and 64 more
    /// @param body holds `through`
    void takePlain(Map<String, Array> values, MemorySegment through, Body body) {
        arrays.slots().stream().filter(part -> values.containsKey(part.key()) && isPlain(part)).forEach(part ->
                StateArrays.copy(values.get(part.key()), part.array()));
        for (var slot : recipe.stored()) {
            if (slot.isPlain()) {
                continue;
            }
            var given = new ArrayList<Spans.Span>();
            var parts = arrays.parts(slot.slot(), new HostArray(through.asSlice(0, domain.bytes(slot.slot()))));
            for (int i = 0; i < places.size(); i++) {
                var value = values.get(places.get(i).tensor().name() + "#" + slot.spec().name());
                if (value != null) {
                    StateArrays.copy(value, parts.get(i));
                    given.add(new Spans.Span(i, i + 1));
                }
            }
            if (given.isEmpty()) {
                continue;
            }
            try (var encode = new Variant(Recipe.encode(slot), Recipe.hostNames(recipe.settings()), device, domain, bound,
                    Map.of(Inputs.grad(Type.F32), 0L))) {
                encode.run(new Spans(given), body);
            }
        }
    }

    private boolean isPlain(StatePart part) {
        var name = part.key().substring(part.key().lastIndexOf('#') + 1);
        return recipe.stored().stream().anyMatch(slot -> slot.isPlain() && slot.spec().name().equals(name));
    }

    /// What writes an average of the parameters where deltas go; the caller closes it.
    Variant average(String name) {
        var plan = Objects.requireNonNull(recipe.averages().get(name));
        return new Variant(plan, Recipe.hostNames(recipe.settings()), device, domain, bound, inBody);
    }

    Kind kind() {
        return kind;
    }

    Recipe recipe() {
        return recipe;
    }

    StateArrays arrays() {
        return arrays;
    }

    Variants variants() {
        return variants;
    }

    /// The layout's position of a tensor of the partition.
    int position(int within) {
        return from + within;
    }

    int size() {
        return places.size();
    }

    /// The tensors of the coming steps, by their positions in the partition.
    Spans spans() {
        return spans;
    }

    void spans(Spans now) {
        spans = now;
    }

    /// Sets what the step under way runs.
    void coming(Variant variant) {
        coming = variant;
    }

    /// Takes the step, unless no tensor takes part.
    void run(Body body) {
        if (!spans.spans().isEmpty()) {
            Objects.requireNonNull(coming).run(spans, body);
        }
    }

    /// Changes programs from the next step on; the slots are the same.
    void rebuild(Recipe changed, boolean updatesParameters, boolean measuresNorms) {
        variants.close();
        coming = null;
        recipe = changed;
        variants = variants(updatesParameters, measuresNorms);
    }

    @Override
    public void close() {
        variants.close();
        arrays.close();
    }
}
