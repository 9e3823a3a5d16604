package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Type;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.BinaryOperator;
import java.util.function.UnaryOperator;

/// What a wrapper is around: the optimizer, with the wrappers nearer to it. Immutable; each method gives one that meets
/// something else.
final class Inner {
    /// What an optimizer meets in place of the session's own.
    ///
    /// @param grad the gradient
    /// @param rate what becomes of the learning rate
    /// @param update what becomes of an update before decoupled weight decay joins, given it and the gradient
    record Terms(Expr grad, UnaryOperator<Expr> rate, BinaryOperator<Expr> update) {
        Terms(Expr grad) {
            this(grad, rate -> rate, (update, _) -> update);
        }
    }

    private final Settings settings;
    private final String kind;
    private final Type element;
    /// How many of the session's wrappers are inside.
    private final int wrappers;
    private final Terms terms;

    private Inner(Settings settings, String kind, Type element, int wrappers, Terms terms) {
        this.settings = settings;
        this.kind = kind;
        this.element = element;
        this.wrappers = wrappers;
        this.terms = terms;
    }

    /// Everything a session is composed of.
    ///
    /// @param kind what the tensors are to the optimizer
    /// @param grad the gradient as clipping leaves it
    static Inner all(Settings settings, String kind, Type element, Expr grad) {
        return new Inner(settings, kind, element, settings.around().size(), new Terms(grad));
    }

    /// The step of what is inside.
    Move step() {
        if (wrappers == 0) {
            return Move.of(settings.rule().step(optimizer()));
        }
        var outermost = settings.around().get(wrappers - 1);
        var in = new Inputs(outermost.part(), settings, kind, element, new Terms(terms.grad));
        return outermost.wrapper().step(in, new Inner(settings, kind, element, wrappers - 1, terms));
    }

    /// With another gradient.
    Inner meeting(Expr grad) {
        return new Inner(settings, kind, element, wrappers, new Terms(grad, terms.rate, terms.update));
    }

    /// With another learning rate, made of the one it would have.
    Inner atRate(UnaryOperator<Expr> change) {
        return new Inner(settings, kind, element, wrappers,
                new Terms(terms.grad, rate -> change.apply(terms.rate.apply(rate)), terms.update));
    }

    /// With other updates, made of those there would be and the gradient as the optimizer sees it.
    Inner updating(BinaryOperator<Expr> change) {
        return new Inner(settings, kind, element, wrappers, new Terms(terms.grad, terms.rate,
                (update, grad) -> terms.update.apply(change.apply(update, grad), grad)));
    }

    /// The rate the optimizer steps at.
    Expr rate() {
        return settings.rule().effectiveRate(optimizer());
    }

    /// The averages that the optimizer and the wrappers keep, by name.
    Map<String, Expr> averages() {
        var averages = new LinkedHashMap<String, Expr>();
        settings.rule().average(optimizer()).ifPresent(average -> averages.put(settings.rule().spec().name(), average));
        for (var a : settings.around()) {
            a.wrapper().average(new Inputs(a.part(), settings, kind, element, terms))
                    .ifPresent(average -> averages.put(a.part().spec().name(), average));
        }
        return averages;
    }

    private Inputs optimizer() {
        return new Inputs(settings.optimizer(), settings, kind, element, terms);
    }
}
