package dev.stepd.device;

import java.util.List;

/// The tensors that take part in a step, as stretches of neighbours that share every host value (same group, same
/// step count), in the domain's order.
public record Spans(List<Span> spans) {
    /// Tensors from position `from` up to, not including, `to`.
    public record Span(int from, int to) {}

    public Spans {
        spans = List.copyOf(spans);
    }

    /// Whether the tensor at a position takes part.
    public boolean contains(int position) {
        return spans.stream().anyMatch(span -> span.from <= position && position < span.to);
    }
}
