package dev.stepd.engine;

import dev.stepd.device.Array;
import dev.stepd.device.Body;
import dev.stepd.device.BoundPlan;
import dev.stepd.device.Device;
import dev.stepd.device.Domain;
import dev.stepd.device.HostRegion;
import dev.stepd.device.Spans;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Scope;
import dev.stepd.expr.stage.Plan;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// A plan bound to a session, with the host values it takes.
final class Variant implements AutoCloseable {
    private final Plan plan;
    private final HostProgram host;
    private final HostRegion table;
    private final MemorySegment[] values;
    private final BoundPlan bound;

    /// @param names what host values are computed from
    /// @param inBody where in a step's body the arrays lie that come with it
    Variant(
            Plan plan,
            List<String> names,
            Device device,
            Domain domain,
            Map<Buffer, Array> arrays,
            Map<Buffer, Long> inBody) {
        this.plan = plan;
        this.host = new HostProgram(plan.hosts().stream().map(Plan.HostValue::value).toList(), names);
        long each = Math.multiplyExact(Math.max(1L, domain.tensors().size()), Double.BYTES);
        this.table = device.host().allocate(each * plan.hosts().size(), "a step's host values");
        this.values = new MemorySegment[plan.hosts().size()];
        var all = new HashMap<>(arrays);
        for (int i = 0; i < values.length; i++) {
            var value = table.array().slice(i * each, each);
            values[i] = value.segment();
            all.put(plan.hosts().get(i).target(), value);
        }
        try {
            this.bound = device.bind(plan, domain, all, inBody);
        } catch (RuntimeException e) {
            table.close();
            throw e;
        }
    }

    /// Computes the host values for tensors that share them.
    void prepare(Spans.Span span, double[] hyper, long t, long latest) {
        host.evaluate(hyper, t, latest);
        for (int i = 0; i < values.length; i++) {
            if (plan.hosts().get(i).target().scope().equals(Scope.SESSION)) {
                values[i].setAtIndex(ValueLayout.JAVA_DOUBLE, 0, host.number(i));
            } else {
                for (int tensor = span.from(); tensor < span.to(); tensor++) {
                    values[i].setAtIndex(ValueLayout.JAVA_DOUBLE, tensor, host.number(i));
                }
            }
        }
    }

    /// Takes the memory that a run needs.
    void prepare(Spans spans) {
        bound.prepare(spans);
    }

    void run(Spans spans, Body body) {
        bound.run(spans, body);
    }

    /// The plan as the device runs it.
    BoundPlan bound() {
        return bound;
    }

    @Override
    public void close() {
        bound.close();
        table.close();
    }
}
