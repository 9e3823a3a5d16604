package dev.stepd.rule;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Program;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// The programs of one step, composed of a rule and what the session asks for around it.
public final class OptimizerProgram {
    /// Sum of squares of each tensor's gradient; not finite exactly when some element is not.
    public static final Buffer GRAD_SQUARES =
            new Buffer(Buffer.Kind.METRIC, "grad_squares", Scope.TENSOR, Type.F64);

    /// Sum of squares of each tensor's delta.
    public static final Buffer UPDATE_SQUARES =
            new Buffer(Buffer.Kind.METRIC, "update_squares", Scope.TENSOR, Type.F64);

    /// Sum of squares of each tensor's parameters after the step.
    public static final Buffer PARAM_SQUARES =
            new Buffer(Buffer.Kind.METRIC, "param_squares", Scope.TENSOR, Type.F64);

    private OptimizerProgram() {}

    /// What is measured of the gradient before anything changes: its norm, which tensors are finite, and what clipping needs
    /// of all of it.
    public static Program measure(Clip clip, Type element) {
        return measure(clip, element, false);
    }

    /// The same, and where `told` the norm of what clipping leaves, if that is not known otherwise.
    public static Program measure(Clip clip, Type element, boolean told) {
        var g = new Expr.Read(Inputs.grad(element));
        var squares = Inputs.sum(Scope.TENSOR, g.as(Type.F64).squared());
        var norm = Inputs.sqrt(Inputs.sum(Scope.SESSION, squares));
        var measures = new ArrayList<>(List.of(
                new Program.Assignment(GRAD_SQUARES, squares), new Program.Assignment(Clip.GRAD_NORM, norm)));
        clip.measure(g, told).ifPresent(other -> measures.add(new Program.Assignment(Clip.CLIPPED_NORM, other)));
        return new Program(measures);
    }

    /// What is measured of what a step has left, by way of sums over rows or blocks.
    ///
    /// @param parameter its elements, where the server holds them
    public static Program left(Scope by, Type element, Optional<Expr> parameter) {
        var sums = new ArrayList<Program.Assignment>();
        sums.add(new Program.Assignment(UPDATE_SQUARES, squares(by, new Expr.Read(Inputs.delta(element)))));
        parameter.ifPresent(p -> sums.add(new Program.Assignment(PARAM_SQUARES, squares(by, p))));
        return new Program(sums);
    }

    private static Expr squares(Scope by, Expr elements) {
        return Inputs.sum(Scope.TENSOR, Inputs.sum(by, elements.as(Type.F64).squared()));
    }

    /// The averages of the parameters that can be asked for, by name: programs that leave them where deltas go.
    ///
    /// @param kind what the tensors are to the rule
    public static Map<String, Program> averages(Settings settings, String kind, Type element) {
        var averages = new LinkedHashMap<String, Program>();
        Inner.all(settings, kind, element, new Expr.Read(Inputs.grad(element))).averages().forEach((name, average) -> {
            var into = new Program.Assignment(Inputs.delta(element), average.as(element));
            averages.put(name, new Program(List.of(into)));
        });
        return averages;
    }

    /// The step itself.
    ///
    /// @param kind what the tensors are to the rule
    /// @param updatesParameters whether the server holds the parameters and moves them by the delta
    public static Program step(
            Settings settings, Clip clip, String kind, Type element, boolean updatesParameters) {
        var move = Inner.all(settings, kind, element, clip.apply(new Expr.Read(Inputs.grad(element)))).step();
        var assignments = new ArrayList<>(move.assignments());
        if (updatesParameters) {
            var moved = new Expr.Read(Inputs.param(element)).plus(move.delta().value());
            assignments.add(new Program.Assignment(Inputs.param(element), moved));
        }
        return new Program(assignments);
    }
}
