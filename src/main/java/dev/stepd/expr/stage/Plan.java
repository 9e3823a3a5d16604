package dev.stepd.expr.stage;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Printer;
import java.util.List;

/// A program as it runs: what the host computes first, then the passes in order. All passes that read an array run before the
/// one that writes it, so assignments take effect together although each is made in place.
///
/// @param hosts values of the host, f64, one for each tensor or for the session
/// @param temps arrays passed from one pass to a later one
public record Plan(List<HostValue> hosts, List<Buffer> temps, List<Stage> stages) {
    /// A value the host computes before the step.
    public record HostValue(Buffer target, Expr value) {}

    public Plan {
        hosts = List.copyOf(hosts);
        temps = List.copyOf(temps);
        stages = List.copyOf(stages);
    }

    @Override
    public String toString() {
        var text = new StringBuilder();
        for (var host : hosts) {
            text.append(host.target()).append(" = ").append(Printer.print(host.value())).append('\n');
        }
        for (int i = 0; i < stages.size(); i++) {
            text.append("stage ").append(i).append(' ').append(stages.get(i));
        }
        return text.toString();
    }
}
