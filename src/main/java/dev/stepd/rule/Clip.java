package dev.stepd.rule;

import dev.stepd.error.Fields;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// What happens to gradients before the optimizer sees them.
public sealed interface Clip {
    /// The gradient as clipping leaves it.
    Expr apply(Expr grad);

    /// Nothing.
    record None() implements Clip {
        @Override
        public Expr apply(Expr grad) {
            return grad;
        }
    }

    /// `g * min(1, max / (|g| + 1e-6))` with the norm over all tensors of the step, as torch's clip_grad_norm_.
    record GlobalNorm(double max) implements Clip {
        @Override
        public Expr apply(Expr grad) {
            var norm = new Expr.Read(GRAD_NORM);
            return grad.times(Inputs.min(Expr.constant(max).over(norm.plus(1e-6)), Inputs.one()));
        }
    }

    /// Every element between `-max` and `max`, as torch's clip_grad_value_.
    record Value(double max) implements Clip {
        @Override
        public Expr apply(Expr grad) {
            var bound = Expr.constant(grad.type(), max);
            return Inputs.min(Inputs.max(grad, bound.negate()), bound);
        }
    }

    /// The norm of the gradient over all tensors of the step, which every step computes before anything else.
    Buffer GRAD_NORM = new Buffer(Buffer.Kind.METRIC, "grad_norm", Scope.SESSION, Type.F64);

    /// Reads the session's `clip` object.
    ///
    /// @throws dev.stepd.error.ServiceException `UNKNOWN_NAME` or `INVALID_VALUE`
    static Clip read(@Nullable Map<String, @Nullable Object> clip) {
        if (clip == null) {
            return new None();
        }
        var fields = Fields.of("clip", clip);
        var norm = fields.number("global_norm");
        var value = fields.number("value");
        fields.finish();
        if (norm.isPresent() && value.isPresent()) {
            fields.refuse("value", value.get(), "either global_norm or value");
        }
        norm.filter(max -> max <= 0).ifPresent(max -> fields.refuse("global_norm", max, "a number above 0"));
        value.filter(max -> max <= 0).ifPresent(max -> fields.refuse("value", max, "a number above 0"));
        return norm.<Clip>map(GlobalNorm::new).or(() -> value.map(Value::new)).orElseGet(None::new);
    }
}
