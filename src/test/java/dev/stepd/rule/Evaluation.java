package dev.stepd.rule;

import dev.stepd.expr.equation.Equation;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleBinaryOperator;
import java.util.function.DoubleUnaryOperator;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/// Computes what printed equations say, from their text alone, as a reader with a calculator would. A value is one number for
/// the session, or one for each tensor, row, column or element, told apart by how many there are. Truth is 1.
final class Evaluation {
    private static final Pattern TOKEN =
            Pattern.compile("\\s*(\\d[\\d.]*(?:e-?\\d+)?|\\w+(?:\\.\\w+|\\[\\d+\\])*'*|<=|>=|.)");

    private final Grid grid;
    private final Map<String, double[]> values = new HashMap<>();
    private List<String> tokens = List.of();
    private int next;

    /// @param grid what elements are parts of
    Evaluation(Grid grid) {
        this.grid = grid;
        for (var over : List.of("session", "tensor", "row", "column")) {
            values.put("count_" + over, grid.counts(over));
        }
        values.put("infinity", new double[] {Double.POSITIVE_INFINITY});
        values.put("pi", new double[] {Math.PI});
    }

    void put(String name, double... value) {
        values.put(name, value);
    }

    double[] get(String name) {
        return values.get(name);
    }

    void add(Equation equation) {
        var cases = equation.cases();
        var value = evaluate(cases.getLast().value());
        for (int i = cases.size() - 2; i >= 0; i--) {
            value = choose(evaluate(cases.get(i).condition()), evaluate(cases.get(i).value()), value);
        }
        if (values.put(equation.name(), value) != null) {
            throw new IllegalStateException(equation.name() + " has two meanings");
        }
    }

    private double[] evaluate(String text) {
        tokens = TOKEN.matcher(text).results().map(token -> token.group(1)).toList();
        next = 0;
        var value = choice();
        if (next < tokens.size()) {
            throw new IllegalStateException(tokens.get(next) + " is left over in " + text);
        }
        return value;
    }

    private boolean taken(String token) {
        boolean here = next < tokens.size() && tokens.get(next).equals(token);
        next += here ? 1 : 0;
        return here;
    }

    private void expect(String token) {
        if (!taken(token)) {
            throw new IllegalStateException(token + " missing in " + tokens + " at " + next);
        }
    }

    private double[] choice() {
        var then = or();
        if (!taken("if")) {
            return then;
        }
        var condition = or();
        expect("else");
        return choose(condition, then, choice());
    }

    private double[] or() {
        var value = and();
        while (taken("or")) {
            value = join(value, and(), Math::max);
        }
        return value;
    }

    private double[] and() {
        var value = comparison();
        while (taken("and")) {
            value = join(value, comparison(), Math::min);
        }
        return value;
    }

    private double[] comparison() {
        var left = sum();
        if (taken("=")) {
            return join(left, sum(), (a, b) -> a == b ? 1 : 0);
        }
        if (taken("<")) {
            return join(left, sum(), (a, b) -> a < b ? 1 : 0);
        }
        if (taken(">")) {
            return join(left, sum(), (a, b) -> a > b ? 1 : 0);
        }
        if (taken("<=")) {
            return join(left, sum(), (a, b) -> a <= b ? 1 : 0);
        }
        return taken(">=") ? join(left, sum(), (a, b) -> a >= b ? 1 : 0) : left;
    }

    private double[] sum() {
        var value = taken("-") ? each(product(), x -> -x) : product();
        while (true) {
            if (taken("+")) {
                value = join(value, product(), Double::sum);
            } else if (taken("-")) {
                value = join(value, product(), (a, b) -> a - b);
            } else {
                return value;
            }
        }
    }

    private double[] product() {
        var value = power();
        while (true) {
            if (taken("*")) {
                value = join(value, power(), (a, b) -> a * b);
            } else if (taken("/")) {
                value = join(value, power(), (a, b) -> a / b);
            } else if (taken("mod")) {
                value = join(value, power(), (a, b) -> a % b);
            } else {
                return value;
            }
        }
    }

    private double[] power() {
        var base = atom();
        return taken("^") ? join(base, atom(), Math::pow) : base;
    }

    private double[] atom() {
        if (taken("(")) {
            var value = choice();
            expect(")");
            return value;
        }
        if (taken("|")) {
            var value = choice();
            expect("|");
            return each(value, Math::abs);
        }
        var token = tokens.get(next++);
        if (Character.isDigit(token.charAt(0))) {
            return new double[] {Double.parseDouble(token)};
        }
        if (taken("(")) {
            return call(token);
        }
        var value = values.get(token);
        if (value == null) {
            throw new IllegalStateException(token + " means nothing in " + tokens);
        }
        return value;
    }

    private double[] call(String function) {
        if (function.equals("unscheduled") || function.equals("given")) {
            var name = tokens.get(next++);
            expect(")");
            return values.get(function + ":" + name);
        }
        var arguments = new ArrayList<double[]>();
        do {
            arguments.add(choice());
        } while (taken(","));
        expect(")");
        var x = arguments.getFirst();
        return switch (function) {
            case "sqrt" -> each(x, Math::sqrt);
            case "exp" -> each(x, Math::exp);
            case "ln" -> each(x, Math::log);
            case "tanh" -> each(x, Math::tanh);
            case "cos" -> each(x, Math::cos);
            case "sin" -> each(x, Math::sin);
            case "sign" -> each(x, Math::signum);
            case "abs" -> each(x, Math::abs);
            case "max" -> arguments.stream().reduce((a, b) -> join(a, b, Math::max)).orElseThrow();
            case "min" -> arguments.stream().reduce((a, b) -> join(a, b, Math::min)).orElseThrow();
            case "clip" -> join(join(x, arguments.get(1), Math::max), arguments.get(2), Math::min);
            case "sum_over_tensors_so_far" -> sumsSoFar(x);
            default -> reduced(function.split("_"), arguments);
        };
    }

    private static double[] sumsSoFar(double[] x) {
        var sums = x.clone();
        Arrays.parallelPrefix(sums, Double::sum);
        return sums;
    }

    /// `sum_tensor` and its like.
    private double[] reduced(String[] what, List<double[]> arguments) {
        var x = arguments.getFirst();
        var parts = grid.parts(x, what[1]);
        if (what[0].equals("ranked")) {
            return join(IntStream.range(0, parts.size()).asDoubleStream().toArray(), arguments.get(1), (part, rank) ->
                    ranked(parts.get((int) part), (int) rank));
        }
        return parts.stream().mapToDouble(part -> switch (what[0]) {
            case "sum" -> Arrays.stream(part).sum();
            case "mean" -> Arrays.stream(part).sum() / part.length;
            case "norm" -> Math.sqrt(Arrays.stream(part).map(v -> v * v).sum());
            case "max" -> Arrays.stream(part).max().orElseThrow();
            default -> throw new IllegalStateException("what is " + what[0]);
        }).toArray();
    }

    private static double ranked(double[] values, int rank) {
        var sorted = Arrays.stream(values).sorted().toArray();
        return rank > sorted.length ? Double.NaN : sorted[sorted.length - rank];
    }

    private double[] choose(double[] condition, double[] then, double[] otherwise) {
        var result = new double[grid.common(condition.length, then.length, otherwise.length)];
        for (int i = 0; i < result.length; i++) {
            boolean holds = at(condition, i, result.length) != 0;
            result[i] = at(holds ? then : otherwise, i, result.length);
        }
        return result;
    }

    private static double[] each(double[] x, DoubleUnaryOperator change) {
        return Arrays.stream(x).map(change).toArray();
    }

    private double[] join(double[] a, double[] b, DoubleBinaryOperator how) {
        var result = new double[grid.common(a.length, b.length)];
        for (int i = 0; i < result.length; i++) {
            result[i] = how.applyAsDouble(at(a, i, result.length), at(b, i, result.length));
        }
        return result;
    }

    private double at(double[] value, int i, int count) {
        return value[grid.index(value.length, i, count)];
    }
}
