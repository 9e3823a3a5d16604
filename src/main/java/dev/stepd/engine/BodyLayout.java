package dev.stepd.engine;

import dev.stepd.rule.Spec;
import java.util.ArrayList;
import java.util.List;

/// How what comes with a step lies in memory: the gradients end to end in the order of the [Layout], which the deltas overwrite, then
/// each extra input, that of tensors in the same order.
///
/// @param inputs what the session's optimizer takes beside gradients
/// @param byteCount of the whole, slack included
public record BodyLayout(Layout layout, List<Input> inputs, long byteCount) {
    private static final long SLACK_BYTES = 64;
    private static final long ALIGNMENT_BYTES = 64;

    /// @param offset bytes before it
    public record Input(Spec.InputSpec spec, long offset) {}

    public BodyLayout {
        inputs = List.copyOf(inputs);
    }

    static BodyLayout of(Layout layout, List<Spec.InputSpec> specs) {
        var inputs = new ArrayList<Input>();
        long end = Math.multiplyExact(layout.elementCount(), Float.BYTES);
        for (var spec : specs) {
            long offset = Math.addExact(Math.ceilDiv(end, ALIGNMENT_BYTES) * ALIGNMENT_BYTES, StateArrays.STAGGER_BYTES);
            inputs.add(new Input(spec, offset));
            end = Math.addExact(offset, Math.multiplyExact(spec.scope().isElement() ? layout.elementCount() : 1, Float.BYTES));
        }
        return new BodyLayout(layout, inputs, Math.addExact(end, SLACK_BYTES));
    }
}
