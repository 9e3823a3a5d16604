package dev.stepd.expr.stage;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Printer;
import java.util.List;
import java.util.stream.Stream;

/// A program as it runs: what the host computes first, then the phases in order. All stages that read an array run before the
/// one that writes it, so assignments take effect together although each is made in place.
///
/// @param hosts values of the host, f64, one for each tensor or for the session
public record Plan(List<HostValue> hosts, List<Phase> phases) {
    /// A value the host computes before the step.
    public record HostValue(Buffer target, Expr value) {}

    public Plan {
        hosts = List.copyOf(hosts);
        phases = List.copyOf(phases);
    }

    /// All stages as passes over all memory.
    Stream<Stage> passes() {
        return phases.stream().flatMap(phase -> phase.passes().stream());
    }

    /// All stages in order, as they run where tensors allow.
    public List<Stage> stages() {
        return phases.stream().flatMap(phase -> phase.stages().stream()).toList();
    }

    @Override
    public String toString() {
        var text = new StringBuilder();
        for (var host : hosts) {
            text.append(host.target()).append(" = ").append(Printer.print(host.value())).append('\n');
        }
        int i = 0;
        for (var phase : phases) {
            phase.tiling().ifPresent(tiling -> text.append("tile after tile, whole ").append(tiling.unit()).append("s:\n"));
            for (var stage : phase.stages()) {
                text.append("stage ").append(i++).append(' ').append(stage);
            }
        }
        return text.toString();
    }
}
