package dev.stepd.golden;

import dev.stepd.expr.Type;
import dev.stepd.expr.rewrite.Rewrite;
import dev.stepd.rule.Clip;
import dev.stepd.rule.Composition;
import dev.stepd.rule.Settings;
import dev.stepd.rule.Spec;
import dev.stepd.rule.View;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import dev.stepd.tensor.TensorSpec;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/// A golden file's tensors under its optimizer, as the interpreter runs it: kind by kind.
final class InterpretedSession implements States {
    /// A tensor as the rule sees it, and its parameter before the first step.
    record Seen(View view, float[] parameter) {}

    /// Where a tensor is: the how manieth of its kind.
    private record Place(String kind, int index) {}

    private final List<String> names;
    private final InterpretedMeasure measure;
    private final LinkedHashMap<String, InterpretedOptimizer> kinds = new LinkedHashMap<>();
    private final List<Place> places = new ArrayList<>();

    /// @param element what elements are computed and kept in
    /// @param change what becomes of the programs before they run
    InterpretedSession(GoldenFile file, Type element, Rewrite change) {
        var composition = Composition.of(file.description()).expanded();
        var settings = Settings.read(composition, List.of(), null);
        names = List.copyOf(file.tensors().keySet());
        measure = new InterpretedMeasure(Clip.read(composition.clip()), element);
        var specs = new ArrayList<TensorSpec>();
        file.tensors().forEach((name, extents) -> specs.add(new TensorSpec(name, new Shape(extents), DType.F32)));
        var views = settings.rule().views(specs, settings);
        var byKind = new LinkedHashMap<String, List<Seen>>();
        for (int i = 0; i < views.size(); i++) {
            var its = byKind.computeIfAbsent(views.get(i).kind(), _ -> new ArrayList<>());
            places.add(new Place(views.get(i).kind(), its.size()));
            its.add(new Seen(views.get(i), file.get("param/" + specs.get(i).name() + "/0")));
        }
        byKind.forEach((kind, its) ->
                kinds.put(kind, new InterpretedOptimizer(settings, measure, kind, its, element, change)));
        file.starts().forEach((key, values) -> {
            int tensor = names.indexOf(key.substring(0, key.indexOf('#')));
            of(tensor).load(key.substring(key.indexOf('#') + 1), places.get(tensor).index, values);
        });
    }

    /// Takes a step of the file, which has to be the next.
    void step(GoldenFile file, int t) {
        var gradients = file.tensors().keySet().stream().map(name -> file.get("grad/" + name + "/" + t)).toList();
        measure.of(gradients);
        kinds.forEach((kind, optimizer) -> optimizer.step(ofKind(kind, gradients), name -> input(kind, name, file, t)));
    }

    private Optional<List<float[]>> input(String kind, Spec.InputSpec spec, GoldenFile file, int t) {
        var values = file.input(spec, t);
        return spec.scope().isElement() ? values.map(of -> ofKind(kind, of)) : values;
    }

    private List<float[]> ofKind(String kind, List<float[]> tensors) {
        return IntStream.range(0, places.size()).filter(i -> places.get(i).kind.equals(kind)).mapToObj(tensors::get).toList();
    }

    /// The parameter of a tensor.
    double[] parameter(int tensor) {
        return of(tensor).parameter(places.get(tensor).index);
    }

    /// A slot of a tensor, or of the session for what there is once.
    double[] slot(String name, int tensor) {
        return of(tensor).slot(name, places.get(tensor).index);
    }

    @Override
    public Optional<float[]> slot(String name, String tensor) {
        int index = Math.max(0, names.indexOf(tensor));
        return of(index).hasSlot(name, tensor.isEmpty())
                ? Optional.of(InterpretedOptimizer.rounded(slot(name, index))) : Optional.empty();
    }

    @Override
    public Optional<float[]> average(String name, String tensor) {
        int index = names.indexOf(tensor);
        return of(index).average(name, places.get(index).index);
    }

    @Override
    public float[] delta(String tensor) {
        int index = names.indexOf(tensor);
        return of(index).delta(places.get(index).index);
    }

    @Override
    public double gradNorm() {
        return measure.norm(Clip.GRAD_NORM);
    }

    private InterpretedOptimizer of(int tensor) {
        return kinds.get(places.get(tensor).kind);
    }
}
