package dev.stepd.device;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.stage.Plan;
import dev.stepd.expr.stage.Stage;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// What holds slots and runs plans. Safe for concurrent use.
public interface Device extends AutoCloseable {
    /// `cpu`, `cuda:0`.
    String name();

    /// Where state lives.
    Memory memory();

    /// Main memory that the device reaches well: for bodies, and for values the host sets before a run or reads after it.
    HostMemory host();

    /// What bodies of up to so many bytes are held by. The caller closes it.
    ///
    /// @param purpose what the bodies are, for the message when there is no memory
    /// @throws dev.stepd.error.ServiceException `OUT_OF_MEMORY`
    Body body(long bytes, String purpose);

    /// Compiles a plan, unless it has been before, and binds it to arrays. The caller keeps the arrays alive for as long as it
    /// uses what it gets. Every buffer of the plan is either one of them or comes with each step.
    ///
    /// @param arrays one value for each index of the buffer's scope, each a stretch of this device's memory, or a [HostArray] of few
    ///     values, which the host may change before a run and read after it
    /// @param inBody the arrays that come with each step, such as gradients and deltas: where in the body they begin, in bytes
    BoundPlan bind(Plan plan, Domain domain, Map<Buffer, Array> arrays, Map<Buffer, Long> inBody);

    /// Binds a plan for bodies that begin with the gradients and hold nothing else.
    default BoundPlan bind(Plan plan, Domain domain, Map<Buffer, Array> arrays) {
        var inBody = new HashMap<Buffer, Long>();
        for (var stage : plan.stages()) {
            Stream.concat(stage.reads().stream(), stage.outputs().stream().map(Stage.Output::target))
                    .filter(buffer -> buffer.kind() == Buffer.Kind.GRAD || buffer.kind() == Buffer.Kind.DELTA)
                    .forEach(buffer -> inBody.put(buffer, 0L));
        }
        return bind(plan, domain, arrays, inBody);
    }

    /// Why the device cannot be used any more, with the state of every session on it gone; null while it can.
    default @Nullable String reasonLost() {
        return null;
    }

    /// How often a pass was compiled rather than found: equal before and after a step that is like an earlier one.
    long compilations();

    @Override
    void close();
}
