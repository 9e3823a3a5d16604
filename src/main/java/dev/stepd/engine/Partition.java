package dev.stepd.engine;

import dev.stepd.device.Device;
import dev.stepd.device.Domain;
import dev.stepd.device.Spans;
import dev.stepd.expr.Buffer;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.IntFunction;

/// The tensors of one kind: what is kept of them, and the programs that move it. Owns both.
final class Partition implements AutoCloseable {
    private final Kind kind;
    private final List<Layout.Place> places;
    private final int from;
    private final Device device;
    private final Domain domain;
    private final StateArrays arrays;
    private final Map<Buffer, MemorySegment> segments;
    private final Map<Buffer, Long> inBody;
    private Recipe recipe;
    private Variants variants;
    private Spans spans = new Spans(List.of());

    /// @param from the layout's position of the first of them
    /// @param shared arrays of the session that programs may read
    /// @param hyper the hyperparameters of a group at the first step
    Partition(
            Recipe recipe,
            BodyLayout body,
            int from,
            Device device,
            Map<Buffer, MemorySegment> shared,
            IntFunction<Map<String, Double>> hyper) {
        this.kind = recipe.kind();
        this.places = body.layout().places(kind);
        this.from = from;
        this.device = device;
        this.domain = Layout.domain(places, recipe.settings().groupCount());
        this.recipe = recipe;
        this.arrays = new StateArrays(places, domain, recipe, device.memory());
        this.segments = new HashMap<>(shared);
        segments.putAll(arrays.segments());
        arrays.initialize(hyper);
        try {
            draw(hyper);
        } catch (RuntimeException e) {
            arrays.close();
            throw e;
        }
        this.inBody = body.arrays(places.getFirst().offset());
        this.variants = variants(false);
    }

    private Variants variants(boolean updatesParameters) {
        return new Variants(recipe, updatesParameters, device, domain, segments, inBody);
    }

    /// Gives slots that start at random their values: what is drawn at step 0.
    private void draw(IntFunction<Map<String, Double>> hyper) {
        recipe.draw().ifPresent(plan -> {
            var names = Recipe.hostNames(recipe.settings());
            var all = new ArrayList<Spans.Span>();
            try (var draw = new Variant(plan, names, device, domain, segments, Map.of())) {
                for (int i = 0; i < places.size(); i++) {
                    var values = hyper.apply(places.get(i).group());
                    all.add(new Spans.Span(i, i + 1));
                    draw.prepare(all.getLast(), names.stream().mapToDouble(values::get).toArray(), 0, 0);
                }
                draw.run(new Spans(all), MemorySegment.NULL);
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
            try (var start = new Variant(plan, Recipe.hostNames(recipe.settings()), device, domain, segments, Map.of())) {
                start.run(all, MemorySegment.NULL);
            }
        });
    }

    /// What writes an average of the parameters where deltas go; the caller closes it.
    Variant average(String name) {
        var plan = Objects.requireNonNull(recipe.averages().get(name));
        return new Variant(plan, Recipe.hostNames(recipe.settings()), device, domain, segments, inBody);
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

    /// Changes programs from the next step on; the slots are the same.
    void rebuild(Recipe changed, boolean updatesParameters) {
        variants.close();
        recipe = changed;
        variants = variants(updatesParameters);
    }

    @Override
    public void close() {
        variants.close();
        arrays.close();
    }
}
