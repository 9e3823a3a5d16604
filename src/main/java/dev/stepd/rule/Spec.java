package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// What the catalogue knows of an optimizer besides its step.
///
/// @param paper authors, title, year, and where to find it
/// @param reference whose implementation the step follows where sources differ: repository@commit and file, or package
///     and version; or that it is the paper's own formulation
/// @param slots every slot a configuration may use; a session keeps those its program reads or writes. Where lists decide how
///     many there are, those of the default lists ([Rule#slots])
/// @param inputs what steps may bring beside gradients
/// @param shared the numbers that groups may not differ in
public record Spec(
        String name,
        String title,
        String paper,
        String reference,
        List<Hyperparameter> hyperparameters,
        List<SlotSpec> slots,
        List<InputSpec> inputs,
        Set<String> shared) {
    /// Whether a slot holds both signs; formats that quantize choose their code book by it.
    public enum Sign {
        SIGNED,
        UNSIGNED
    }

    /// One state array.
    ///
    /// @param initial its value before the first step: a constant, a hyperparameter or the parameter; or, at random, the deviation
    ///     of the normal distribution around 0 that each element draws its value from
    /// @param random whether it starts at random
    /// @param fine why formats with few codes cannot keep it, or null if they can
    /// @param ageless whether it may start at any step: nothing the rule makes of the count of steps takes it for older than it is
    public record SlotSpec(
            String name, Scope scope, Type storage, Sign sign, Expr initial, boolean random, @Nullable String fine, boolean ageless) {
        public SlotSpec(String name, Scope scope, Type storage, Sign sign, Expr initial) {
            this(name, scope, storage, sign, initial, false, null, false);
        }

        /// Whether the slot is a copy of the parameter before the first step.
        public boolean startsAtParameter() {
            return initial instanceof Expr.Read;
        }

        /// What each element of one that starts at random draws.
        public Expr drawn() {
            return initial.times(Normal.draw(name)).as(storage);
        }

        /// The same with one value for each index of another scope.
        SlotSpec over(Scope other) {
            return new SlotSpec(name, other, storage(other), sign, initial, random, fine, ageless);
        }

        /// What exists once a tensor or session is kept in f64.
        private static Type storage(Scope scope) {
            return Scope.TENSOR.coarserThan(scope) ? Type.F32 : Type.F64;
        }

        /// The same under another name.
        SlotSpec named(String other) {
            return new SlotSpec(other, scope, storage, sign, initial, random, fine, ageless);
        }

        /// The same where few codes would not do.
        SlotSpec fine(String why) {
            return new SlotSpec(name, scope, storage, sign, initial, random, why, ageless);
        }

        /// The same for a slot that may start at any step.
        SlotSpec startingAnyTime() {
            return new SlotSpec(name, scope, storage, sign, initial, random, fine, true);
        }
    }

    /// Which steps bring an extra input.
    public enum Presence {
        EVERY_STEP,
        /// The client brings it when it has one; [Inputs#given] tells the rule.
        SOME_STEPS
    }

    /// Something a step brings beside gradients, in the elements' type.
    ///
    /// @param scope `ELEMENT` for arrays shaped as the tensors, `SESSION` for one number
    /// @param meaning what it is, and when it is brought
    public record InputSpec(String name, Scope scope, Presence presence, String meaning) {
        public InputSpec {
            if (!scope.isElement() && !scope.equals(Scope.SESSION)) {
                throw new IllegalStateException("input " + name + " cannot be one for each " + scope);
            }
        }

        /// The name of this input of a tensor in a body; of the session's for any tensor.
        public String key(String tensor) {
            return (scope.isElement() ? tensor : "") + "#" + name;
        }

        public boolean required() {
            return presence == Presence.EVERY_STEP;
        }
    }

    public Spec {
        hyperparameters = List.copyOf(hyperparameters);
        slots = List.copyOf(slots);
        inputs = List.copyOf(inputs);
        shared = Set.copyOf(shared);
    }

    /// @param paper authors, title, year, and where to find it
    static Builder of(String name, String title, String paper) {
        return new Builder(name, title, paper);
    }

    Optional<InputSpec> input(String name) {
        return inputs.stream().filter(i -> i.name().equals(name)).findFirst();
    }

    public Optional<Hyperparameter> hyperparameter(String name) {
        return hyperparameters.stream().filter(h -> h.name().equals(name)).findFirst();
    }

    /// Collects a spec; each method adds one hyperparameter, slot or input and returns this.
    static final class Builder {
        private final String name;
        private final String title;
        private final String paper;
        private final List<Hyperparameter> hyperparameters = new ArrayList<>();
        private final List<SlotSpec> slots = new ArrayList<>();
        private final List<InputSpec> inputs = new ArrayList<>();
        private final Set<String> shared = new HashSet<>();
        private String reference = "";

        private Builder(String name, String title, String paper) {
            this.name = name;
            this.title = title;
            this.paper = paper;
        }

        /// Whose implementation the step follows; every rule says so.
        Builder follows(String reference) {
            this.reference = reference;
            return this;
        }

        /// Some hyperparameters of another.
        Builder like(Spec other, String... names) {
            for (var name : names) {
                hyperparameters.add(other.hyperparameter(name).orElseThrow());
            }
            return this;
        }

        /// The learning rate.
        Builder lr(double initial) {
            return real("lr", initial, Hyperparameter.Range.NON_NEGATIVE, "learning rate");
        }

        /// A number that has to be set.
        Builder real(String name, double initial, Hyperparameter.Range range, String meaning) {
            hyperparameters.add(new Hyperparameter.Real(name, meaning, initial, range, OptionalDouble.empty()));
            return this;
        }

        /// A number that is the same for the whole session: what depends on it may be one value for all tensors.
        Builder shared(String name, double initial, Hyperparameter.Range range, String meaning) {
            shared.add(name);
            return real(name, initial, range, meaning);
        }

        /// A number that `null` turns off, which is what 0 means.
        Builder option(String name, double initial, Hyperparameter.Range range, String meaning) {
            hyperparameters.add(new Hyperparameter.Real(name, meaning, initial, range, OptionalDouble.of(0)));
            return this;
        }

        /// A number that is the same for the whole session and that `null` turns off, which is what 0 means.
        Builder sharedOption(String name, double initial, Hyperparameter.Range range, String meaning) {
            shared.add(name);
            return option(name, initial, range, meaning);
        }

        /// A bound that `null` removes: it is infinite then.
        Builder limit(String name, double initial, Hyperparameter.Range range, String meaning) {
            var none = OptionalDouble.of(Double.POSITIVE_INFINITY);
            hyperparameters.add(new Hyperparameter.Real(name, meaning, initial, range, none));
            return this;
        }

        /// The bounds of step sizes that each parameter has of its own.
        Builder stepSizes(double min, double max) {
            return real("step_size_min", min, Hyperparameter.Range.NON_NEGATIVE, "smallest step size")
                    .real("step_size_max", max, Hyperparameter.Range.NON_NEGATIVE, "largest step size");
        }

        /// How much of a running mean is kept each step.
        Builder decay(String name, double initial, String meaning) {
            return real(name, initial, Hyperparameter.Range.DECAY, meaning);
        }

        /// Adam's decay rates.
        Builder betas(double beta1, double beta2) {
            return decay("beta1", beta1, "how much of the mean gradient is kept each step")
                    .decay("beta2", beta2, "how much of the mean squared gradient is kept each step");
        }

        Builder eps(double initial) {
            return real("eps", initial, Hyperparameter.Range.NON_NEGATIVE, "added where a division could be by zero");
        }

        Builder weightDecay(double initial) {
            return option("weight_decay", initial, Hyperparameter.Range.NON_NEGATIVE, "weight decay");
        }

        Builder flag(String name, boolean initial, String meaning) {
            hyperparameters.add(new Hyperparameter.Flag(name, meaning, initial));
            return this;
        }

        /// Whether the objective grows instead of shrinking: every gradient is negated first.
        Builder maximize() {
            return flag(Inputs.MAXIMIZE, false, "maximize the objective: gradients are negated before anything else");
        }

        /// A list of numbers, as many as the user gives.
        Builder numbers(String name, List<Double> initial, Hyperparameter.Range range, int maxLength, String meaning) {
            hyperparameters.add(new Hyperparameter.Numbers(name, meaning, initial, range, maxLength));
            return this;
        }

        /// A whole number that decides what the program is.
        Builder count(String name, int initial, int min, int max, String meaning) {
            hyperparameters.add(new Hyperparameter.Count(name, meaning, initial, min, max));
            return this;
        }

        Builder choice(String name, String meaning, String... values) {
            hyperparameters.add(new Hyperparameter.Choice(name, meaning, values[0], List.of(values), false));
            return this;
        }

        /// A choice in whose place a whole number other than 0 may stand.
        Builder choiceOrWhole(String name, String meaning, String... values) {
            hyperparameters.add(new Hyperparameter.Choice(name, meaning, values[0], List.of(values), true));
            return this;
        }

        /// An element-wise slot that starts at zero.
        Builder slot(String name, Sign sign) {
            return slot(name, sign, Expr.constant(0));
        }

        Builder slot(String name, Sign sign, Expr initial) {
            slots.add(new SlotSpec(name, Scope.ELEMENT, Type.F32, sign, initial));
            return this;
        }

        /// Adam's running means of the gradient and its square, under torch's names.
        Builder moments() {
            return slot("exp_avg", Sign.SIGNED).slot("exp_avg_sq", Sign.UNSIGNED);
        }

        /// An element-wise slot that starts at the parameter.
        Builder slotOfParameter(String name) {
            return slot(name, Sign.SIGNED, new Expr.Read(Inputs.param(Type.F32)))
                    .fine("it holds parameter values, whose small steps codes would swallow");
        }

        /// An element-wise slot that starts at random values, normally distributed around 0.
        Builder slotOfNormal(String name, Expr deviation) {
            slots.add(new SlotSpec(name, Scope.ELEMENT, Type.F32, Sign.SIGNED, deviation, true, null, false));
            return this;
        }

        /// The last slot is one that formats with few codes cannot keep.
        Builder fine(String why) {
            slots.add(slots.removeLast().fine(why));
            return this;
        }

        /// The last slot may start at any step: nothing the rule makes of the count of steps takes it for older than it is.
        Builder ageless() {
            slots.add(slots.removeLast().startingAnyTime());
            return this;
        }

        /// A slot of another scope. What exists once a tensor or session is kept in f64.
        Builder slot(String name, Scope scope, Sign sign, double initial) {
            return slot(name, scope, sign, Expr.constant(initial));
        }

        Builder slot(String name, Scope scope, Sign sign, Expr initial) {
            slots.add(new SlotSpec(name, scope, SlotSpec.storage(scope), sign, initial));
            return this;
        }

        /// Something steps bring beside gradients.
        Builder input(String name, Scope scope, Presence presence, String meaning) {
            inputs.add(new InputSpec(name, scope, presence, meaning));
            return this;
        }

        /// @throws IllegalStateException where nothing says whose formulation the rule follows
        Spec build() {
            if (reference.isBlank()) {
                throw new IllegalStateException(name + " does not say what it follows");
            }
            return new Spec(name, title, paper, reference, hyperparameters, slots, inputs, shared);
        }
    }
}
