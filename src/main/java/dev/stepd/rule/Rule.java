package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program;
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

    /// Every slot that a session with these settings may use.
    default List<Spec.SlotSpec> slots(Settings settings) {
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
