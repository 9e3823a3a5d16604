package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Type;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/// What a slot holds, whatever a rule calls it. Slots of two rules that mean the same may take each other's values, up to how
/// long the rules remember.
///
/// A meaning is not declared but read off the assignment of the slot, so it is that of the settings at hand: the momentum of SGD is
/// a sum of gradients without dampening, and nothing other rules know with it. The gradient is the one the rule meets, coupled
/// weight decay included; an assignment that does more to it (clipping, trust ratios, resets) has no meaning here.
public enum Meaning {
    /// `m <- b*m + (1 - b)*g`
    MEAN_GRADIENT("running mean of gradients"),
    /// `m <- b*m + (1 - b)*g` where the same rule keeps `v <- b*v + (1 - b)*g^2`: subtracted from that it centers it, which means
    /// of other horizons do not.
    CENTER("running mean of gradients, over the horizon of their squares"),
    /// `m <- b*m - (1 - b)*g`
    MEAN_CHANGE("running mean of gradients, its sign turned"),
    /// `v <- b*v + (1 - b)*g^2`
    MEAN_SQUARE("running mean of squared gradients"),
    /// `x <- max(x, v)`
    LARGEST_MEAN_SQUARE("largest running mean of squared gradients"),
    /// `s <- s + g^2`
    SUM_OF_SQUARES("sum of squared gradients"),
    /// `b <- mu*b + g`
    MOMENTUM("momentum: gradients summed up, older ones less"),
    /// `q <- g`
    LAST_GRADIENT("last gradient");

    private final String text;

    Meaning(String text) {
        this.text = text;
    }

    /// A few words for people.
    public String text() {
        return text;
    }

    /// The optimizer's slots that mean something other rules may know, by name.
    ///
    /// @param kind what the tensors are to the rule
    public static Map<String, Meaning> of(Settings settings, String kind) {
        return new Reader(settings, kind).read();
    }

    /// Compares the assignments of a rule with those that have a meaning.
    private static final class Reader {
        private final Settings settings;
        private final Inputs in;
        private final List<Assignment> step;
        private final List<Expr> gradients;
        private final Map<String, Meaning> meanings = new HashMap<>();
        /// The decays of running means of squares.
        private final Set<Expr> horizons = new HashSet<>();
        private final List<Expr> meanSquares = new ArrayList<>();

        Reader(Settings settings, String kind) {
            this.settings = settings;
            var grad = new Expr.Read(Inputs.grad(Type.F32));
            in = new Inputs(settings.optimizer(), settings, kind, Type.F32, new Inner.Terms(grad));
            step = settings.rule().step(in);
            boolean decays = settings.rule().spec().hyperparameter("weight_decay").isPresent();
            gradients = decays ? Stream.of(in.grad(), in.decayedGrad()).distinct().toList() : List.of(in.grad());
        }

        Map<String, Meaning> read() {
            slots().forEach(this::readSquares);
            slots().forEach(assignment -> rest(assignment).ifPresent(meaning ->
                    meanings.put(assignment.target().name(), meaning)));
            return Map.copyOf(meanings);
        }

        private Stream<Assignment> slots() {
            return step.stream().filter(assignment -> settings.slotNames(settings.optimizer()).contains(assignment.target().name()));
        }

        private void readSquares(Assignment assignment) {
            var old = new Expr.Read(assignment.target());
            for (var g : gradients) {
                for (var decay : decays()) {
                    if (assigns(assignment, Inputs.ema(old, g.squared(), decay))) {
                        meanings.put(assignment.target().name(), MEAN_SQUARE);
                        horizons.add(decay);
                        meanSquares.add(assignment.value());
                    }
                }
            }
        }

        private Optional<Meaning> rest(Assignment assignment) {
            var old = new Expr.Read(assignment.target());
            if (meanSquares.stream().anyMatch(v -> assigns(assignment, Inputs.max(old, v)))) {
                return Optional.of(LARGEST_MEAN_SQUARE);
            }
            return gradients.stream().flatMap(g -> of(assignment, old, g).stream()).findFirst();
        }

        private Optional<Meaning> of(Assignment assignment, Expr old, Expr g) {
            if (assigns(assignment, g)) {
                return Optional.of(LAST_GRADIENT);
            }
            if (assigns(assignment, old.plus(g.squared()))) {
                return Optional.of(SUM_OF_SQUARES);
            }
            for (var decay : decays()) {
                if (assigns(assignment, Inputs.ema(old, g, decay))) {
                    return Optional.of(horizons.contains(decay) ? CENTER : MEAN_GRADIENT);
                }
                if (assigns(assignment, Inputs.ema(old, g.negate(), decay))) {
                    return Optional.of(MEAN_CHANGE);
                }
                if (sums(assignment, decay.times(old), g)) {
                    return Optional.of(MOMENTUM);
                }
            }
            return Optional.empty();
        }

        /// Whether all of the gradient joins, in one of the ways rules say so.
        private boolean sums(Assignment assignment, Expr kept, Expr g) {
            if (assigns(assignment, kept.plus(g))) {
                return true;
            }
            if (settings.rule().spec().hyperparameter("dampening").isEmpty() || in.on("dampening")) {
                return false;
            }
            var share = Inputs.one().minus(in.hyper("dampening"));
            return assigns(assignment, kept.plus(share.times(g)))
                    || assigns(assignment, kept.plus(Expr.select(in.first(), Inputs.one(), share).times(g)));
        }

        private static boolean assigns(Assignment assignment, Expr value) {
            return value.scope().equals(assignment.target().scope())
                    && assignment.value().equals(value.as(assignment.target().storage()));
        }

        /// The numbers of the rule, any of which may be how much a slot keeps.
        private List<Expr> decays() {
            return settings.rule().spec().hyperparameters().stream()
                    .filter(Hyperparameter.Real.class::isInstance)
                    .map(number -> in.hyper(number.name()))
                    .toList();
        }
    }
}
