package dev.stepd.engine;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Type;
import dev.stepd.rule.Inputs;
import dev.stepd.rule.Spec;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// How what comes with a step lies in memory: the gradients end to end in the order of the [Layout], which the deltas overwrite, then
/// each extra input, that of tensors in the same order.
///
/// @param inputs what the session's optimizer takes beside gradients, in the order its rule names them
/// @param byteCount of the whole, slack included
public record BodyLayout(Layout layout, List<Input> inputs, long byteCount) {
    private static final long SLACK_BYTES = 64;
    private static final long ALIGNMENT_BYTES = 64;
    private static final Type ELEMENT = Type.F32;

    /// @param offset bytes before it
    public record Input(Spec.InputSpec spec, long offset) {
        public boolean ofTensors() {
            return spec.scope().isElement();
        }
    }

    public BodyLayout {
        inputs = List.copyOf(inputs);
    }

    static BodyLayout of(Layout layout, List<Spec.InputSpec> specs) {
        var inputs = new ArrayList<Input>();
        long end = Math.multiplyExact(layout.elementCount(), Float.BYTES);
        for (var spec : specs) {
            long aligned = Math.ceilDiv(end, ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
            var input = new Input(spec, Math.addExact(aligned, StateArrays.STAGGER_BYTES));
            inputs.add(input);
            long count = input.ofTensors() ? layout.elementCount() : 1;
            end = Math.addExact(input.offset(), Math.multiplyExact(count, Float.BYTES));
        }
        return new BodyLayout(layout, inputs, Math.addExact(end, SLACK_BYTES));
    }

    /// Where the arrays begin for programs over a stretch of the tensors.
    ///
    /// @param firstElement elements of all tensors before the stretch
    Map<Buffer, Long> arrays(long firstElement) {
        long first = firstElement * Float.BYTES;
        var arrays = new HashMap<>(Map.of(Inputs.grad(ELEMENT), first, Inputs.delta(ELEMENT), first));
        inputs.forEach(input ->
                arrays.put(Inputs.input(input.spec(), ELEMENT), input.offset() + (input.ofTensors() ? first : 0)));
        return arrays;
    }

    /// What programs that measure gradients have to be told to measure an input of tensors.
    static Map<Buffer, Long> measuring(long offset) {
        return Map.of(Inputs.grad(ELEMENT), offset);
    }
}
