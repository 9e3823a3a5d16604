package dev.stepd.rule;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.Fields;
import dev.stepd.error.Nearest;
import dev.stepd.error.ServiceException;
import java.util.List;

/// How a number changes with the steps. A value depends on the step alone, so a schedule has no state to lose.
///
/// With `k` finished steps and a base value, the number is `min + (base - min) * factor(k)`. A warm-up of `w` steps comes
/// first and rises in a line: its factor is `(k + 1) / w`, so the first step is not wasted and step `w` has the full value.
public sealed interface Schedule {
    /// The names `schedule.name` may have.
    List<String> NAMES = List.of(
            "constant", "linear", "cosine", "polynomial", "step", "exponential", "one_cycle", "warmup_stable_decay");

    /// The value at a step.
    ///
    /// @param step from 1
    double value(double base, long step);

    /// `(1 + cos(pi share)) / 2` for shares from 0 to 1, by way of angles up to pi/4: for larger ones the library allocates,
    /// and steps do not.
    private static double fallen(double share) {
        if (share <= 0.25) {
            return (1 + StrictMath.cos(Math.PI * share)) / 2;
        }
        return share < 0.75
                ? (1 + StrictMath.sin(Math.PI * (0.5 - share))) / 2
                : (1 - StrictMath.cos(Math.PI * (1 - share))) / 2;
    }

    /// What follows the warm-up, as a factor of the steps since.
    sealed interface Curve {
        double factor(double k);
    }

    /// The base value throughout.
    record Constant() implements Curve {
        @Override
        public double factor(double k) {
            return 1;
        }
    }

    /// `(1 - k/steps)^power`; the linear schedule has power 1.
    record Polynomial(double steps, double power) implements Curve {
        @Override
        public double factor(double k) {
            return StrictMath.pow(1 - Math.min(k, steps) / steps, power);
        }
    }

    /// `(1 + cos(pi k/steps)) / 2`. Loshchilov, Hutter, *SGDR*, 2016, arXiv:1608.03983, without restarts.
    record Cosine(double steps) implements Curve {
        @Override
        public double factor(double k) {
            return fallen(Math.min(k, steps) / steps);
        }
    }

    /// `gamma^floor(k/every)`; the exponential schedule has every = 1.
    record Step(double every, double gamma) implements Curve {
        @Override
        public double factor(double k) {
            return StrictMath.pow(gamma, Math.floor(k / every));
        }
    }

    /// 1 for `stable` steps, then down in a line over `decay` steps. Hu et al., *MiniCPM*, 2024, arXiv:2404.06395.
    record StableDecay(double stable, double decay) implements Curve {
        @Override
        public double factor(double k) {
            return 1 - Math.clamp((k - stable) / decay, 0, 1);
        }
    }

    /// A warm-up, then a curve.
    record WarmedUp(double warmup, Curve curve, double min) implements Schedule {
        @Override
        public double value(double base, long step) {
            double k = step - 1.0;
            return k < warmup ? base * (k + 1) / warmup : min + (base - min) * curve.factor(k - warmup);
        }
    }

    /// Up from `base / divisor` to `base` and down to `base / (divisor * finalDivisor)`, both along a cosine. Smith, Topin,
    /// *Super-convergence*, 2017, arXiv:1708.07120, with torch's OneCycleLR names and defaults.
    record OneCycle(double steps, double rising, double divisor, double finalDivisor) implements Schedule {
        @Override
        public double value(double base, long step) {
            double k = Math.min(step - 1.0, steps - 1);
            double top = rising * steps - 1;
            double low = base / divisor;
            return k <= top
                    ? along(low, base, top == 0 ? 1 : k / top)
                    : along(base, low / finalDivisor, (k - top) / (steps - 1 - top));
        }

        private static double along(double from, double to, double share) {
            return to + (from - to) * fallen(share);
        }
    }

    /// Reads a schedule of one number.
    ///
    /// @throws dev.stepd.error.ServiceException naming the field that does not fit
    static Schedule read(Fields fields, Hyperparameter.Real of) {
        var name = fields.requiredString("name");
        var schedule = "one_cycle".equals(name) ? oneCycle(fields, of) : warmedUp(name, fields, of);
        fields.finish();
        return schedule;
    }

    private static Schedule oneCycle(Fields fields, Hyperparameter.Real of) {
        double steps = required(fields, "total_steps", 2);
        double rising = fields.number("pct_start").orElse(0.3);
        if (rising * steps < 1 || rising >= 1) {
            fields.refuse("pct_start", rising, "a share of at least one step and below 1");
        }
        double divisor = positive(fields, "div_factor", 25);
        double finalDivisor = positive(fields, "final_div_factor", 1e4);
        if (isBounded(of) && divisor < 1) {
            fields.refuse("div_factor", divisor, staysInRange(of, "at least 1"));
        }
        if (isBounded(of) && divisor * finalDivisor < 1) {
            fields.refuse("final_div_factor", finalDivisor, staysInRange(of, "at least 1 / div_factor"));
        }
        return new OneCycle(steps, rising, divisor, finalDivisor);
    }

    /// Whether growing can take a number out of its range.
    private static boolean isBounded(Hyperparameter.Real of) {
        return of.range().max() < Double.MAX_VALUE;
    }

    private static String staysInRange(Hyperparameter.Real of, String bound) {
        return "a number " + bound + ", since " + of.name() + " is " + of.range();
    }

    private static Schedule warmedUp(String name, Fields fields, Hyperparameter.Real of) {
        double warmup = fields.integer("warmup_steps", 0).orElse(0L);
        // min_lr is the name people know; other numbers have a plain min.
        var minField = of.name().equals("lr") && fields.has("min_lr") ? "min_lr" : "min";
        double min = fields.number(minField).orElse(0.0);
        if (!of.range().contains(min)) {
            fields.refuse(minField, min, "a number " + of.range());
        }
        var curve = switch (name) {
            case "constant" -> new Constant();
            case "linear" -> new Polynomial(decaySteps(fields, warmup), 1);
            case "cosine" -> new Cosine(decaySteps(fields, warmup));
            case "polynomial" -> new Polynomial(decaySteps(fields, warmup), positive(fields, "power", 1));
            case "step" -> new Step(required(fields, "step_size", 1), gamma(fields, 0.1, of));
            case "exponential" -> new Step(1, gamma(fields, 0.99, of));
            case "warmup_stable_decay" -> stableDecay(fields, warmup);
            default -> unknown(fields, name);
        };
        return new WarmedUp(warmup, curve, min);
    }

    private static Curve unknown(Fields fields, String name) {
        throw new ServiceException(ErrorCode.UNKNOWN_NAME,
                fields.path("name") + ": unknown schedule \"" + name + "\""
                        + Nearest.hint(name, NAMES) + "; known are " + NAMES);
    }

    /// Steps between the end of the warm-up and `total_steps`.
    private static double decaySteps(Fields fields, double warmup) {
        return required(fields, "total_steps", (long) warmup + 1) - warmup;
    }

    private static Curve stableDecay(Fields fields, double warmup) {
        double decay = required(fields, "decay_steps", 1);
        double total = required(fields, "total_steps", (long) (warmup + decay));
        return new StableDecay(total - warmup - decay, decay);
    }

    private static double gamma(Fields fields, double initial, Hyperparameter.Real of) {
        double gamma = positive(fields, "gamma", initial);
        return gamma <= 1 || !isBounded(of) ? gamma
                : fields.<Double>refuse("gamma", gamma, staysInRange(of, "of at most 1"));
    }

    private static double required(Fields fields, String name, long min) {
        return fields.integer(name, min).orElseThrow(() -> fields.missing(name));
    }

    private static double positive(Fields fields, String name, double initial) {
        double value = fields.number(name).orElse(initial);
        return value > 0 ? value : fields.<Double>refuse(name, value, "a number above 0");
    }
}
