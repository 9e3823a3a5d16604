package dev.stepd.engine;

import dev.stepd.device.Array;
import dev.stepd.device.Body;
import dev.stepd.device.Device;
import dev.stepd.device.HostArray;
import dev.stepd.device.HostRegion;
import dev.stepd.device.Spans;
import dev.stepd.expr.Buffer;
import dev.stepd.rule.Clip;
import dev.stepd.rule.OptimizerProgram;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// What comes with a step, measured before anything moves: the gradient's norms, and whether all of it is finite. Owns what it
/// measures into.
final class Measure implements AutoCloseable {
    private final Device device;
    private final BodyLayout body;
    private final HostRegion region;
    private final HostArray gradSquares;
    private final HostArray gradNorm;
    private final HostArray clippedNorm;
    /// By extra input: what measures it as the gradient is, if it is one of tensors.
    private final List<@Nullable Variant> ofInputs = new ArrayList<>();
    private Variant ofGradient;
    private Clip clip;
    private String nonFiniteKey = "";
    private Map<String, Long> nonFinite = Map.of();

    Measure(Device device, Optimizer optimizer, BodyLayout body) {
        this.device = device;
        this.body = body;
        int tensors = body.layout().places().size();
        this.region = device.host().allocate((tensors + 2L) * Double.BYTES, "what gradients measure to");
        this.gradNorm = region.array().slice(0, Double.BYTES);
        this.clippedNorm = region.array().slice(Double.BYTES, Double.BYTES);
        this.gradSquares = region.array().slice(2 * Double.BYTES, (long) tensors * Double.BYTES);
        try {
            for (var input : body.inputs()) {
                ofInputs.add(input.ofTensors() ? measuring(optimizer, new Clip.None(), input.offset()) : null);
            }
            this.clip = optimizer.clip();
            forgetClipped();
            this.ofGradient = measuring(optimizer, clip, 0);
        } catch (RuntimeException e) {
            ofInputs.forEach(Measure::close);
            region.close();
            throw e;
        }
    }

    /// What measures the array of tensors that begins at a place of the body.
    private Variant measuring(Optimizer optimizer, Clip clip, long offset) {
        var domain = Layout.domain(body.layout().places(), optimizer.settings().groupCount());
        var arrays = Map.<Buffer, Array>of(
                OptimizerProgram.GRAD_SQUARES, gradSquares, Clip.GRAD_NORM, gradNorm, Clip.CLIPPED_NORM, clippedNorm);
        var names = Recipe.hostNames(optimizer.settings());
        return new Variant(Recipe.measurePlan(clip, optimizer.measuresNorms()), names, device, domain, arrays, BodyLayout.measuring(offset));
    }

    /// Measures as another optimizer asks for. Changes nothing when it throws.
    void reconfigure(Optimizer changed) {
        var measuring = measuring(changed, changed.clip(), 0);
        ofGradient.close();
        ofGradient = measuring;
        clip = changed.clip();
        forgetClipped();
    }

    /// What nobody measures is not a number.
    private void forgetClipped() {
        clippedNorm.segment().set(ValueLayout.JAVA_DOUBLE, 0, Double.NaN);
    }

    /// What steps may use of it.
    Map<Buffer, Array> norms() {
        return Map.of(Clip.GRAD_NORM, gradNorm, Clip.CLIPPED_NORM, clippedNorm);
    }

    /// Measures a body. The gradient last, since its norm is what the step may use; and if it is not finite, it is what is told of.
    ///
    /// @param brought holds `arrived`
    /// @param checksInputs whether anybody asks if extra inputs are finite
    /// @return whether all that was looked at is finite
    boolean isFinite(Spans spans, Body brought, MemorySegment arrived, BitSet present, BitSet given, boolean checksInputs) {
        boolean finite = true;
        nonFinite = Map.of();
        for (int i = body.inputs().size() - 1; i >= 0; i--) {
            if (checksInputs && given.get(i) && !isFinite(spans, brought, arrived, i)) {
                var input = body.inputs().get(i);
                nonFiniteKey = input.spec().key(input.ofTensors() ? firstNonFinite(present) : "");
                finite = false;
            }
        }
        ofGradient.run(spans, brought);
        if (!Double.isFinite(gradNorm())) {
            nonFiniteKey = firstNonFinite(present);
            nonFinite = count(arrived, present);
            finite = false;
        }
        return finite;
    }

    /// Looks again at what is known to be damaged, since that is rare.
    private Map<String, Long> count(MemorySegment arrived, BitSet present) {
        var counts = new LinkedHashMap<String, Long>();
        var places = body.layout().places();
        for (int position = 0; position < places.size(); position++) {
            if (isDamaged(position, present)) {
                var place = places.get(position);
                long count = 0;
                for (long i = place.offset(); i < place.offset() + place.elementCount(); i++) {
                    count += Float.isFinite(arrived.getAtIndex(ValueLayout.JAVA_FLOAT, i)) ? 0 : 1;
                }
                counts.put(place.tensor().name(), count);
            }
        }
        return Collections.unmodifiableMap(counts);
    }

    private boolean isDamaged(int position, BitSet present) {
        double square = gradSquares.segment().getAtIndex(ValueLayout.JAVA_DOUBLE, position);
        return present.get(body.layout().places().get(position).index()) && !Double.isFinite(square);
    }

    private boolean isFinite(Spans spans, Body brought, MemorySegment arrived, int input) {
        var measuring = ofInputs.get(input);
        if (measuring == null) {
            return Float.isFinite(arrived.get(ValueLayout.JAVA_FLOAT, body.inputs().get(input).offset()));
        }
        measuring.run(spans, brought);
        return Double.isFinite(gradNorm());
    }

    /// Of what was measured last: the first tensor with an element that is not finite.
    private String firstNonFinite(BitSet present) {
        var places = body.layout().places();
        for (int position = 0; position < places.size(); position++) {
            if (isDamaged(position, present)) {
                return places.get(position).tensor().name();
            }
        }
        throw new IllegalStateException("the norm is not finite and every tensor is");
    }

    /// The L2 norm of what was measured last, over all present tensors, before clipping.
    double gradNorm() {
        return gradNorm.segment().get(ValueLayout.JAVA_DOUBLE, 0);
    }

    /// By how much clipping shortens what was measured last.
    double clipFactor() {
        return clip.factor(gradNorm(), clippedNorm.segment().get(ValueLayout.JAVA_DOUBLE, 0));
    }

    /// How many elements of each tensor's gradient are not finite, of the tensors that have any, in the layout's order.
    Map<String, Long> nonFinite() {
        return nonFinite;
    }

    /// The first array that was not finite, of the last body of which one was not.
    String nonFiniteKey() {
        return nonFiniteKey;
    }

    private static void close(@Nullable Variant variant) {
        if (variant != null) {
            variant.close();
        }
    }

    @Override
    public void close() {
        ofGradient.close();
        ofInputs.forEach(Measure::close);
        region.close();
    }
}
