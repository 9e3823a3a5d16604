package dev.stepd.rule;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.Fields;
import dev.stepd.error.ServiceException;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.tensor.TensorSpec;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/// What happens to gradients before the optimizer sees them.
public sealed interface Clip {
    /// The gradient as clipping leaves it.
    Expr apply(Expr grad);

    /// What it has to know of the gradients of all tensors, whatever their kind, before any of them takes its step, or what tells
    /// how far it clips.
    ///
    /// @param told whether anybody asks for [#factor]
    default Optional<Expr> measure(Expr grad, boolean told) {
        return Optional.empty();
    }

    /// By how much it shortens a gradient: 1 where it leaves it as it is.
    ///
    /// @param norm of the gradient
    /// @param measured what [#measure] came to, NaN if it had nothing
    /// @return NaN where that cannot be told
    double factor(double norm, double measured);

    /// Refuses tensors it cannot treat.
    ///
    /// @throws dev.stepd.error.ServiceException `INVALID_VALUE`
    default void check(Settings settings, List<TensorSpec> tensors) {}

    /// An object that [#read] makes this of again; null for nothing.
    @Nullable Map<String, @Nullable Object> resolved();

    /// Nothing.
    record None() implements Clip {
        @Override
        public Expr apply(Expr grad) {
            return grad;
        }

        @Override
        public double factor(double norm, double measured) {
            return 1;
        }

        @Override
        public @Nullable Map<String, @Nullable Object> resolved() {
            return null;
        }
    }

    /// `g * min(1, max / (|g| + 1e-6))` with the norm over all tensors of the step, as torch's clip_grad_norm_.
    ///
    /// @param order of the norm: 2 is Euclidean, 1 the sum of magnitudes, infinity the largest of them
    record GlobalNorm(double max, double order) implements Clip {
        public GlobalNorm(double max) {
            this(max, 2);
        }

        @Override
        public Expr apply(Expr grad) {
            var norm = new Expr.Read(order == 2 ? GRAD_NORM : CLIPPED_NORM);
            return grad.times(Inputs.min(Expr.constant(max).over(norm.plus(1e-6)), Inputs.one()));
        }

        /// The norm, unless it is the one that every step measures.
        @Override
        public Optional<Expr> measure(Expr grad, boolean told) {
            return order == 2 ? Optional.empty() : Optional.of(norm(Inputs.abs(grad).as(Type.F64)));
        }

        /// In f64, as the step computes it.
        @Override
        public double factor(double norm, double measured) {
            return Math.min(max / ((order == 2 ? norm : measured) + 1e-6), 1);
        }

        private Expr norm(Expr magnitude) {
            if (Double.isInfinite(order)) {
                return Inputs.largest(Scope.SESSION, magnitude);
            }
            if (order == 1) {
                return Inputs.sum(Scope.SESSION, magnitude);
            }
            var powers = Inputs.sum(Scope.SESSION, Inputs.pow(magnitude, Expr.constant(order)));
            return Inputs.pow(powers, Expr.constant(1 / order));
        }

        @Override
        public Map<String, @Nullable Object> resolved() {
            return new TreeMap<>(Map.of("global_norm", max, "norm_type", Double.isInfinite(order) ? INFINITE : (Object) order));
        }
    }

    /// Every element between `-max` and `max`, as torch's clip_grad_value_.
    record Value(double max) implements Clip {
        @Override
        public Expr apply(Expr grad) {
            var bound = Expr.constant(grad.type(), max);
            return Inputs.min(Inputs.max(grad, bound.negate()), bound);
        }

        /// The norm of what is left, which the step itself does not need.
        @Override
        public Optional<Expr> measure(Expr grad, boolean told) {
            return told ? Optional.of(Inputs.norm(Scope.SESSION, apply(grad))) : Optional.empty();
        }

        @Override
        public double factor(double norm, double measured) {
            return norm == 0 ? 1 : measured / norm;
        }

        @Override
        public Map<String, @Nullable Object> resolved() {
            return Map.of("value", max);
        }
    }

    /// Adaptive: the norm of each unit (what lies at one index of the first dimension, or a whole tensor of fewer than two dimensions) bounded by a
    /// share of its parameters' norm.
    ///
    ///     m = factor * max(|p|, eps)        g <- g * m / max(|g|, 1e-6), where |g| >= m
    ///
    /// Brock, De, Smith, Simonyan, *High-performance large-scale image recognition without normalization*, 2021,
    /// arXiv:2102.06171, Equation 3; follows timm/utils/agc.py.
    record Adaptive(double factor, double eps) implements Clip {
        @Override
        public Expr apply(Expr grad) {
            var of = Inputs.norm(Scope.ROW, new Expr.Read(Inputs.param(grad.type())));
            var bound = Inputs.max(of, Expr.constant(eps)).times(factor);
            var norm = Inputs.norm(Scope.ROW, grad);
            var clipped = bound.over(Inputs.max(norm, Expr.constant(1e-6)));
            return grad.times(Expr.select(Inputs.atLeast(norm, bound), clipped, Inputs.one()));
        }

        /// Units have factors of their own.
        @Override
        public double factor(double norm, double measured) {
            return Double.NaN;
        }

        /// Rows are what the optimizer reads tensors as, units are not.
        @Override
        public void check(Settings settings, List<TensorSpec> tensors) {
            var views = settings.rule().views(tensors, settings);
            for (int i = 0; i < views.size(); i++) {
                var unit = View.of(tensors.get(i).shape());
                if (views.get(i).slabs() != unit.slabs() || views.get(i).rows() != unit.rows()) {
                    throw new ServiceException(ErrorCode.INVALID_VALUE, "clip.agc is " + factor + ", expected none with "
                            + settings.rule().spec().name() + ", which reads " + tensors.get(i).name() + " as "
                            + views.get(i).slabs() + " matrices of " + views.get(i).rows() + " rows");
                }
            }
        }

        @Override
        public Map<String, @Nullable Object> resolved() {
            return new TreeMap<>(Map.of("agc", factor, "eps", eps));
        }
    }

    /// The Euclidean norm of the gradient over all tensors of the step, which every step computes before anything else.
    Buffer GRAD_NORM = new Buffer(Buffer.Kind.METRIC, "grad_norm", Scope.SESSION, Type.F64);

    /// A norm of another order over all tensors of the step, where clipping asks for one.
    Buffer CLIPPED_NORM = new Buffer(Buffer.Kind.METRIC, "clipped_norm", Scope.SESSION, Type.F64);

    /// How JSON, which has no infinity, names the order of the largest magnitude.
    String INFINITE = "inf";

    /// Reads the session's `clip` object: one of `{"global_norm": 1, "norm_type": 2}`, `{"value": 0.1}` and
    /// `{"agc": 0.01, "eps": 0.001}`.
    ///
    /// @throws dev.stepd.error.ServiceException `UNKNOWN_NAME` or `INVALID_VALUE`
    static Clip read(@Nullable Map<String, @Nullable Object> clip) {
        if (clip == null) {
            return new None();
        }
        var fields = Fields.of("clip", clip);
        Clip read = new None();
        for (var name : new String[] {"global_norm", "value", "agc"}) {
            if (!fields.has(name)) {
                continue;
            }
            double bound = positive(fields, name, 0);
            if (!(read instanceof None)) {
                fields.refuse(name, bound, "one of global_norm, value and agc");
            }
            read = switch (name) {
                case "global_norm" -> new GlobalNorm(bound, order(fields));
                case "value" -> new Value(bound);
                default -> new Adaptive(bound, positive(fields, "eps", 1e-3));
            };
        }
        fields.finish();
        return read;
    }

    private static double order(Fields fields) {
        return fields.value("norm_type").filter(INFINITE::equals).isPresent()
                ? Double.POSITIVE_INFINITY : positive(fields, "norm_type", 2);
    }

    private static double positive(Fields fields, String name, double otherwise) {
        double value = fields.number(name).orElse(otherwise);
        return value > 0 ? value : fields.<Double>refuse(name, value, "a number above 0");
    }
}
