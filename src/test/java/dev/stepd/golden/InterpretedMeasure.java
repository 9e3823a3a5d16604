package dev.stepd.golden;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Interpreter;
import dev.stepd.expr.Scalar;
import dev.stepd.expr.Type;
import dev.stepd.rule.Clip;
import dev.stepd.rule.Inputs;
import dev.stepd.rule.OptimizerProgram;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// What steps measure of the gradients of all tensors before any of them moves, as the interpreter has it.
final class InterpretedMeasure {
    private final Clip clip;
    private final Type element;
    private final Map<Buffer, long[]> arrays = new HashMap<>();

    InterpretedMeasure(Clip clip, Type element) {
        this.clip = clip;
        this.element = element;
    }

    Clip clip() {
        return clip;
    }

    void of(List<float[]> gradients) {
        var extents = gradients.stream().map(g -> new Interpreter.Extent(g.length, 1, 0, true, 1)).toList();
        var flat = new long[gradients.stream().mapToInt(g -> g.length).sum()];
        int at = 0;
        for (var gradient : gradients) {
            for (float value : gradient) {
                flat[at++] = Scalar.of(element, value);
            }
        }
        arrays.put(Inputs.grad(element), flat);
        arrays.put(OptimizerProgram.GRAD_SQUARES, new long[gradients.size()]);
        arrays.put(Clip.GRAD_NORM, new long[1]);
        arrays.put(Clip.CLIPPED_NORM, new long[1]);
        Interpreter.run(OptimizerProgram.measure(clip, element), extents, (name, _) -> Double.NaN, arrays);
    }

    double norm(Buffer which) {
        return Double.longBitsToDouble(arrays.get(which)[0]);
    }

    long[] array(Buffer which) {
        return arrays.get(which);
    }
}
