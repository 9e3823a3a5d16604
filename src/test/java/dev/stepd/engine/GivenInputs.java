package dev.stepd.engine;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.BitSet;

/// Extra inputs for tests that are about something else: every one an optimizer takes, with values of a fair size.
public final class GivenInputs {
    private GivenInputs() {}

    /// Puts values where a body has its inputs; each is the same in every step and for every tensor.
    ///
    /// @return that all are given
    public static BitSet fill(Stepper stepper, MemorySegment body) {
        var given = new BitSet();
        for (var input : stepper.body().inputs()) {
            long count = input.spec().scope().isElement() ? stepper.layout().elementCount() : 1;
            for (long i = 0; i < count; i++) {
                body.set(ValueLayout.JAVA_FLOAT, input.offset() + i * Float.BYTES, 0.75f);
            }
            given.set(given.length());
        }
        return given;
    }
}
