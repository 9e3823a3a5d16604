package dev.stepd.engine;

import dev.stepd.device.Array;
import dev.stepd.device.Device;
import dev.stepd.device.HostArray;
import dev.stepd.device.HostRegion;
import dev.stepd.device.Spans;
import dev.stepd.expr.Buffer;
import dev.stepd.rule.OptimizerProgram;
import java.lang.foreign.ValueLayout;
import java.util.Map;

/// The norms of what a step leaves, over the tensors that took part: of the deltas as they are sent and of the parameters. Programs
/// sum squares into it in the pass that computes them; owns where.
final class Norms implements AutoCloseable {
    private final HostRegion region;
    private final HostArray updateSquares;
    private final HostArray paramSquares;

    Norms(Device device, int tensors) {
        long bytes = (long) tensors * Double.BYTES;
        this.region = device.host().allocate(2 * bytes, "what updates measure to");
        this.updateSquares = region.array().slice(0, bytes);
        this.paramSquares = region.array().slice(bytes, bytes);
    }

    /// Where programs put those of some neighbouring tensors, by the layout's position of the first.
    Map<Buffer, Array> of(int first, int tensors) {
        long at = (long) first * Double.BYTES;
        long bytes = (long) tensors * Double.BYTES;
        return Map.of(
                OptimizerProgram.UPDATE_SQUARES, updateSquares.slice(at, bytes),
                OptimizerProgram.PARAM_SQUARES, paramSquares.slice(at, bytes));
    }

    double update(Spans tensors) {
        return norm(updateSquares, tensors);
    }

    double param(Spans tensors) {
        return norm(paramSquares, tensors);
    }

    /// Tensor after tensor, in the layout's order.
    private static double norm(HostArray squares, Spans tensors) {
        double sum = 0;
        var spans = tensors.spans();
        for (int i = 0; i < spans.size(); i++) { // an iterator would be an object in every step
            for (int tensor = spans.get(i).from(); tensor < spans.get(i).to(); tensor++) {
                sum += squares.segment().getAtIndex(ValueLayout.JAVA_DOUBLE, tensor);
            }
        }
        return Math.sqrt(sum);
    }

    @Override
    public void close() {
        region.close();
    }
}
