package dev.stepd.golden;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Interpreter;
import dev.stepd.expr.Program;
import dev.stepd.expr.Scalar;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.rewrite.Rewrite;
import dev.stepd.rule.Clip;
import dev.stepd.rule.Inputs;
import dev.stepd.rule.OptimizerProgram;
import dev.stepd.rule.Settings;
import dev.stepd.rule.Spec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;

/// An optimizer as the interpreter runs it over those tensors of a golden file that are of one kind: no stages, no kernels, no
/// engine.
final class InterpretedOptimizer {
    private final InterpretedMeasure measure;
    private final List<InterpretedSession.Seen> tensors;
    private final Settings settings;
    private final String kind;
    private final Type element;
    private final Program program;
    private final double[] hyper;
    private final Map<Buffer, long[]> arrays = new LinkedHashMap<>();
    private long steps;

    /// @param element what elements are computed and kept in
    /// @param change what becomes of the program before it runs
    InterpretedOptimizer(
            Settings settings, InterpretedMeasure measure, String kind, List<InterpretedSession.Seen> tensors, Type element,
            Rewrite change) {
        this.measure = measure;
        this.tensors = List.copyOf(tensors);
        this.settings = settings;
        this.kind = kind;
        this.element = element;
        this.program = change.apply(OptimizerProgram.step(settings, measure.clip(), kind, element, true));
        this.hyper = new double[settings.numberNames().size()];
        for (var buffer : List.of(Inputs.grad(element), Inputs.delta(element), Inputs.param(element))) {
            arrays.put(buffer, new long[count(buffer)]);
        }
        fill(Inputs.param(element), tensors.stream().map(InterpretedSession.Seen::parameter).toList());
        settings.values(0, 1, hyper);
        for (var slot : settings.slots(kind)) {
            arrays.put(buffer(slot), initial(slot));
        }
    }

    /// Gives a tensor's slot its value before the first step.
    void load(String slot, int tensor, float[] values) {
        var spec = settings.slots(kind).stream().filter(s -> s.name().equals(slot)).findFirst().orElseThrow();
        var array = arrays.get(buffer(spec));
        int from = Interpreter.count(extents(1).subList(0, tensor), spec.scope());
        for (int i = 0; i < values.length; i++) {
            array[from + i] = Scalar.of(buffer(spec).storage(), values[i]);
        }
    }

    private long[] initial(Spec.SlotSpec slot) {
        if (slot.startsAtParameter()) {
            return arrays.get(Inputs.param(element)).clone();
        }
        if (slot.random()) {
            return new long[count(buffer(slot))]; // until it is loaded
        }
        double value = switch (slot.initial()) {
            case Expr.Const(Type type, long bits) -> Scalar.toDouble(type, bits);
            case Expr.Hyper(String name, _) -> hyper[settings.numberNames().indexOf(name)];
            case Expr other -> throw new IllegalStateException(slot.name() + " starts at " + other);
        };
        var values = new long[count(buffer(slot))];
        Arrays.fill(values, Scalar.of(buffer(slot).storage(), value));
        return values;
    }

    private Buffer buffer(Spec.SlotSpec slot) {
        return new Buffer(
                Buffer.Kind.SLOT, slot.name(), slot.scope(), slot.scope().isElement() ? element : slot.storage());
    }

    private int count(Buffer buffer) {
        return Interpreter.count(extents(1), buffer.scope());
    }

    private List<Interpreter.Extent> extents(long step) {
        var extents = new ArrayList<Interpreter.Extent>();
        for (var tensor : tensors) {
            int slabs = Math.toIntExact(tensor.view().slabs());
            int rows = Math.toIntExact(tensor.view().rows());
            extents.add(new Interpreter.Extent(tensor.parameter().length, slabs, rows, 0, true, step, 0));
        }
        return extents;
    }

    private void fill(Buffer buffer, List<float[]> values) {
        int at = 0;
        for (var tensor : values) {
            for (float value : tensor) {
                arrays.get(buffer)[at++] = Scalar.of(buffer.storage(), value);
            }
        }
    }

    /// @param inputs an extra input of the step, if it has that one
    void step(List<float[]> gradients, Function<Spec.InputSpec, Optional<List<float[]>>> inputs) {
        fill(Inputs.grad(element), gradients);
        var given = new HashSet<String>();
        for (var input : settings.rule().spec().inputs()) {
            var buffer = Inputs.input(input, element);
            arrays.put(buffer, new long[count(buffer)]);
            inputs.apply(input).ifPresent(values -> {
                fill(buffer, values);
                given.add(Inputs.GIVEN + input.name());
            });
        }
        steps++;
        settings.values(0, steps, hyper);
        for (var norm : List.of(Clip.GRAD_NORM, Clip.CLIPPED_NORM)) {
            arrays.put(norm, measure.array(norm));
        }
        Interpreter.run(program, extents(steps), (name, _) -> number(name, given), arrays);
    }

    /// An average of a tensor's parameters, if it is kept.
    Optional<float[]> average(String name, int tensor) {
        return Optional.ofNullable(OptimizerProgram.averages(settings, kind, element).get(name)).map(program -> {
            var delta = arrays.get(Inputs.delta(element));
            arrays.put(Inputs.delta(element), delta.clone());
            Interpreter.run(program, extents(steps), (number, _) -> number(number, Set.of()), arrays);
            var average = delta(tensor);
            arrays.put(Inputs.delta(element), delta);
            return average;
        });
    }

    /// How a tensor moved in the last step.
    float[] delta(int tensor) {
        return rounded(part(Inputs.delta(element), tensor));
    }

    static float[] rounded(double[] values) {
        var rounded = new float[values.length];
        for (int i = 0; i < rounded.length; i++) {
            rounded[i] = (float) values[i];
        }
        return rounded;
    }

    private double number(String name, Set<String> given) {
        if (name.startsWith(Inputs.GIVEN)) {
            return given.contains(name) ? 1 : 0;
        }
        return hyper[settings.numberNames().indexOf(name)];
    }

    /// The parameter of a tensor.
    double[] parameter(int tensor) {
        return part(Inputs.param(element), tensor);
    }

    /// A slot of a tensor, or of the session for what there is once.
    double[] slot(String name, int tensor) {
        var spec = settings.slots(kind).stream().filter(s -> s.name().equals(name)).findFirst().orElseThrow();
        return part(buffer(spec), tensor);
    }

    /// @param shared whether the session has one value of it
    boolean hasSlot(String name, boolean shared) {
        return settings.slots(kind).stream()
                .anyMatch(s -> s.name().equals(name) && s.scope().equals(Scope.SESSION) == shared);
    }

    private double[] part(Buffer buffer, int tensor) {
        boolean shared = buffer.scope().equals(Scope.SESSION);
        int from = shared ? 0 : Interpreter.count(extents(1).subList(0, tensor), buffer.scope());
        int to = shared ? 1 : Interpreter.count(extents(1).subList(0, tensor + 1), buffer.scope());
        var part = new double[to - from];
        for (int i = 0; i < part.length; i++) {
            part[i] = Scalar.toDouble(buffer.storage(), arrays.get(buffer)[from + i]);
        }
        return part;
    }
}
