package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program;
import dev.stepd.tensor.TensorSpec;
import java.util.List;
import java.util.Optional;

/// The definition of an optimizer: what it is called and takes, and what one step does.
///
/// A rule is asked once for each session (and change of it), not each step: hyperparameters are arguments of the
/// program, since schedules move them; flags and choices decide which program it is.
public interface Rule {
    Spec spec();

    /// Refuses settings that are each in range and make no sense together.
    ///
    /// @throws dev.stepd.error.ServiceException `INVALID_VALUE`
    default void check(Settings settings) {}

    /// How the rule looks at each tensor of a session, in their order. What tensors of different kinds do must not meet: a
    /// rule that sums over the session has one kind only.
    default List<View> views(List<TensorSpec> tensors, Settings settings) {
        return tensors.stream().map(tensor -> View.of(tensor.shape())).toList();
    }

    /// Every kind that [#views] may tell apart, the usual one first.
    default List<String> kinds() {
        return List.of("");
    }

    /// Every slot that tensors of a kind may use in a session with these settings.
    default List<Spec.SlotSpec> slots(Settings settings, String kind) {
        return spec().slots();
    }

    /// The rate a step is taken at, for what weighs steps by it.
    default Expr effectiveRate(Inputs in) {
        return in.hyper(Inputs.RATE);
    }

    /// The parameters to evaluate a model with, where the optimizer keeps an average of those it trains; clients ask for
    /// them by its name. Reads what a step has left.
    default Optional<Expr> average(Inputs in) {
        return Optional.empty();
    }

    /// The assignments of one step: the delta of the parameter and the new values of slots, all from the values before.
    List<Program.Assignment> step(Inputs in);
}
