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
import dev.stepd.rule.Composition;
import dev.stepd.rule.Inputs;
import dev.stepd.rule.OptimizerProgram;
import dev.stepd.rule.Settings;
import dev.stepd.rule.Spec;
import dev.stepd.tensor.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// An optimizer as the interpreter runs it over a golden file's tensors: no stages, no kernels, no engine.
final class InterpretedOptimizer {
    private final List<String> names;
    private final List<List<Long>> shapes;
    private final Settings settings;
    private final Type element;
    private final Program program;
    private final double[] hyper;
    private final Map<Buffer, long[]> arrays = new LinkedHashMap<>();
    private long steps;

    /// @param element what elements are computed and kept in
    /// @param change what becomes of the program before it runs
    InterpretedOptimizer(GoldenFile file, Type element, Rewrite change) {
        this.shapes = List.copyOf(file.tensors().values());
        this.names = List.copyOf(file.tensors().keySet());
        var composition = Composition.of(file.description()).expanded();
        this.settings = Settings.read(composition, List.of(), null);
        this.element = element;
        this.program = change.apply(OptimizerProgram.step(settings, Clip.read(composition.clip()), element, true));
        this.hyper = new double[settings.numberNames().size()];
        for (var buffer : List.of(Inputs.grad(element), Inputs.delta(element), Inputs.param(element),
                Clip.GRAD_NORM, OptimizerProgram.GRAD_SQUARES)) {
            arrays.put(buffer, new long[count(buffer)]);
        }
        fill(Inputs.param(element), file.tensors().keySet().stream().map(n -> file.get("param/" + n + "/0")).toList());
        settings.values(0, 1, hyper);
        for (var slot : settings.slots()) {
            arrays.put(buffer(slot), initial(slot));
        }
    }

    private long[] initial(Spec.SlotSpec slot) {
        if (slot.startsAtParameter()) {
            return arrays.get(Inputs.param(element)).clone();
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
        for (var extent : shapes) {
            var shape = new Shape(extent);
            int elements = Math.toIntExact(shape.elementCount());
            extents.add(new Interpreter.Extent(elements, Math.toIntExact(shape.rows()), 0, true, step));
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

    void step(List<float[]> gradients) {
        fill(Inputs.grad(element), gradients);
        steps++;
        settings.values(0, steps, hyper);
        run(OptimizerProgram.measure(element));
        run(program);
    }

    private void run(Program what) {
        Interpreter.run(what, extents(steps), (name, _) -> hyper[settings.numberNames().indexOf(name)], arrays);
    }

    /// The parameter of a tensor.
    double[] parameter(int tensor) {
        return part(Inputs.param(element), tensor);
    }

    /// A slot of a tensor, or of the session for what there is once.
    double[] slot(String name, int tensor) {
        var spec = settings.slots().stream().filter(s -> s.name().equals(name)).findFirst().orElseThrow();
        return part(buffer(spec), tensor);
    }

    /// What the optimizer keeps, rounded to f32.
    States states() {
        return new States() {
            @Override
            public Optional<float[]> slot(String name, String tensor) {
                return settings.slots().stream()
                        .filter(s -> s.name().equals(name) && s.scope().equals(Scope.SESSION) == tensor.isEmpty())
                        .findFirst()
                        .map(s -> rounded(part(buffer(s), Math.max(0, names.indexOf(tensor)))));
            }

            @Override
            public Optional<float[]> average(String name, String tensor) {
                var delta = arrays.get(Inputs.delta(element)).clone();
                try {
                    return Optional.ofNullable(OptimizerProgram.averages(settings, element).get(name)).map(program -> {
                        run(program);
                        return delta(tensor);
                    });
                } finally {
                    arrays.put(Inputs.delta(element), delta);
                }
            }

            @Override
            public float[] delta(String tensor) {
                return rounded(part(Inputs.delta(element), names.indexOf(tensor)));
            }

            @Override
            public double gradNorm() {
                return Double.longBitsToDouble(arrays.get(Clip.GRAD_NORM)[0]);
            }
        };
    }

    static float[] rounded(double[] values) {
        var rounded = new float[values.length];
        for (int i = 0; i < rounded.length; i++) {
            rounded[i] = (float) values[i];
        }
        return rounded;
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
