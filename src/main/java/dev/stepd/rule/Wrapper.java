package dev.stepd.rule;

import dev.stepd.expr.Expr;
import java.util.List;
import java.util.Optional;

/// What goes around any optimizer and changes its step: the gradient it meets, the rate, the update before weight decay
/// joins, or how the parameter follows. An average of the parameters is one too, that only looks on.
///
/// Its numbers are the same for the whole session; a schedule moves them as `lookahead.alpha`.
public interface Wrapper {
    /// Its slots' names must be no optimizer's: they are state of the same tensors.
    Spec spec();

    /// Refuses settings that are each in range and make no sense together.
    ///
    /// @param part this wrapper's own hyperparameters, whose [Part#invalid] a refusal is
    /// @throws dev.stepd.error.ServiceException `INVALID_VALUE`
    default void check(Settings settings, Part part) {}

    /// Every slot that a session with these settings may use.
    default List<Spec.SlotSpec> slots(Settings settings) {
        return spec().slots();
    }

    /// One step: what is inside takes its own, before or after which the wrapper does its part.
    ///
    /// @param in the values before the step, with this wrapper's hyperparameters and slots
    Move step(Inputs in, Inner inner);

    /// The parameters to evaluate a model with, where they are not those that are trained; clients ask for them by this
    /// wrapper's name. Reads what a step has left.
    default Optional<Expr> average(Inputs in) {
        return Optional.empty();
    }
}
