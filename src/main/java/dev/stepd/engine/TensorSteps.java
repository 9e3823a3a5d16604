package dev.stepd.engine;

import dev.stepd.device.Spans;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/// How many steps each tensor has finished, by its position in the layout. A tensor left out of a partial step stays behind, and no
/// longer is stepped in one stretch with its neighbours.
final class TensorSteps {
    private final Layout layout;
    private final long[] finished;

    TensorSteps(Layout layout) {
        this.layout = layout;
        this.finished = new long[layout.places().size()];
    }

    int tensors() {
        return finished.length;
    }

    long of(int position) {
        return finished[position];
    }

    /// The largest count, the coming step included, of the tensors that it has.
    long latest(Spans spans) {
        long most = 0;
        for (int i = 0; i < spans.spans().size(); i++) {
            most = Math.max(most, finished[spans.spans().get(i).from()] + 1);
        }
        return most;
    }

    void advance(int position) {
        finished[position]++;
    }

    /// The counts by the index the session declared each tensor under.
    List<Long> declared() {
        var steps = new Long[finished.length];
        for (int position = 0; position < steps.length; position++) {
            steps[layout.places().get(position).index()] = finished[position];
        }
        return List.of(steps);
    }

    /// @param steps as [#declared] gave them
    void resume(List<Long> steps) {
        for (int position = 0; position < finished.length; position++) {
            finished[position] = steps.get(layout.places().get(position).index());
        }
    }

    /// The tensors at positions from `first` to `end`, neighbours that agree in one span, by their distance from `first`.
    Spans all(int first, int end) {
        var everything = new BitSet();
        everything.set(0, finished.length);
        return cut(everything, first, end);
    }

    /// The same for those alone that are present.
    ///
    /// @param present by declared index
    Spans cut(BitSet present, int first, int end) {
        var cut = new ArrayList<Spans.Span>();
        int from = -1;
        for (int position = first; position <= end; position++) {
            boolean here = position < end && present.get(layout.places().get(position).index());
            if (from >= 0 && (!here || !agree(from, position))) {
                cut.add(new Spans.Span(from - first, position - first));
                from = -1;
            }
            if (here && from < 0) {
                from = position;
            }
        }
        return new Spans(cut);
    }

    /// Whether two tensors are in one group and have finished the same steps.
    private boolean agree(int a, int b) {
        return layout.places().get(a).group() == layout.places().get(b).group() && finished[a] == finished[b];
    }
}
