package dev.stepd.expr.codec;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Program;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.rewrite.Rewrite;
import java.util.ArrayList;
import java.util.List;

/// `p <- p + d -> master <- master + d`, `delta <- round(master - p)`, `p <- round(p + delta)`: parameters of two bytes, for a step that
/// is too small for them.
///
/// The step is that of an f32 master. What the client is sent is what the rounded parameter has to move by to follow it, itself
/// rounded, so that adding it gives the client the server's bits; what rounding left over stays in the master and
/// comes with a later step.
///
/// @param parameter the array of parameters as a program over f32 has it
/// @param codec `bf16` or `f16`, rounding to nearest
public record Masters(Buffer parameter, Codec codec) implements Rewrite {
    /// Where the f32 parameters are.
    public static final Buffer MASTER = new Buffer(Buffer.Kind.SLOT, "master", Scope.ELEMENT, Type.F32);

    /// Of parameters called `bf16` or `f16`.
    public static Masters of(Buffer parameter, String format) {
        return new Masters(parameter, format.equals("bf16") ? new Bf16Codec(false) : new F16Codec(false));
    }

    /// The parameter as it is stored.
    public Buffer stored() {
        return codec.arrays(parameter).getFirst();
    }

    /// The parameter as the client has it, in f32.
    public Expr value() {
        return codec.decode(parameter);
    }

    @Override
    public Program apply(Program program) {
        var onMasters = Rewrite.bottomUp(program, node ->
                node instanceof Expr.Read(Buffer buffer) && buffer.equals(parameter) ? new Expr.Read(MASTER) : node);
        var moved = onMasters.assignments().stream().filter(a -> a.target().equals(parameter)).findFirst();
        if (moved.isEmpty()) {
            return new Program(onMasters.assignments().stream().map(this::rounded).toList());
        }
        var assignments = new ArrayList<Assignment>();
        for (var assignment : onMasters.assignments()) {
            if (assignment.target().kind() == Buffer.Kind.DELTA) {
                assignments.addAll(following(assignment.target(), moved.get().value()));
            } else if (!assignment.target().equals(parameter)) {
                assignments.add(assignment);
            }
        }
        return new Program(assignments);
    }

    private List<Assignment> following(Buffer delta, Expr master) {
        var step = round(master.minus(value()));
        var reached = codec.encode(parameter, value().plus(step)).getFirst();
        return List.of(new Assignment(delta, step), new Assignment(MASTER, master), new Assignment(stored(), reached));
    }

    /// Deltas of programs that move nothing are values for the client all the same.
    private Assignment rounded(Assignment assignment) {
        return assignment.target().kind() == Buffer.Kind.DELTA
                ? new Assignment(assignment.target(), round(assignment.value()))
                : assignment;
    }

    /// The nearest value of the codec, in f32.
    private Expr round(Expr value) {
        var code = codec.encode(parameter, value).getFirst();
        return codec instanceof Bf16Codec ? Bf16Codec.decode(code) : F16Codec.decode(code);
    }
}
