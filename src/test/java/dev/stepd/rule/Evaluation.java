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

/// Computes what printed equations say, from their text alone, as a reader with a calculator would. A value is one number for
/// the session, one for each tensor or one for each element, told apart by how many there are. Truth is 1.
final class Evaluation {
    private static final Pattern TOKEN = Pattern.compile("\\s*(\\d[\\d.]*(?:e-?\\d+)?|\\w+'*|<=|>=|.)");

    private final int[] sizes;
    private final Map<String, double[]> values = new HashMap<>();
    private List<String> tokens = List.of();
    private int next;

    /// @param sizes elements of each tensor
    Evaluation(int... sizes) {
        this.sizes = sizes;
        values.put("count_tensor", Arrays.stream(sizes).asDoubleStream().toArray());
        values.put("count_session", new double[] {Arrays.stream(sizes).sum()});
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
        if (function.equals("unscheduled")) {
            var name = tokens.get(next++);
            expect(")");
            return values.get("unscheduled:" + name);
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
            case "sign" -> each(x, Math::signum);
            case "abs" -> each(x, Math::abs);
            case "max" -> arguments.stream().reduce((a, b) -> join(a, b, Math::max)).orElseThrow();
            case "min" -> arguments.stream().reduce((a, b) -> join(a, b, Math::min)).orElseThrow();
            case "clip" -> join(join(x, arguments.get(1), Math::max), arguments.get(2), Math::min);
            default -> reduced(function.split("_"), x);
        };
    }

    /// `sum_tensor` and its like.
    private double[] reduced(String[] what, double[] x) {
        boolean all = what[1].equals("session");
        var result = new double[all ? 1 : sizes.length];
        Arrays.fill(result, what[0].equals("max") ? Double.NEGATIVE_INFINITY : 0);
        for (int i = 0; i < x.length; i++) {
            int at = all ? 0 : tensor(i);
            switch (what[0]) {
                case "sum", "mean" -> result[at] += x[i];
                case "norm" -> result[at] += x[i] * x[i];
                case "max" -> result[at] = Math.max(result[at], x[i]);
                default -> throw new IllegalStateException("what is " + what[0]);
            }
        }
        return switch (what[0]) {
            case "mean" -> join(result, values.get("count_" + what[1]), (a, b) -> a / b);
            case "norm" -> each(result, Math::sqrt);
            default -> result;
        };
    }

    private int tensor(int element) {
        int tensor = 0;
        for (int before = sizes[0]; before <= element; before += sizes[tensor]) {
            tensor++;
        }
        return tensor;
    }

    private double[] choose(double[] condition, double[] then, double[] otherwise) {
        var result = new double[Math.max(condition.length, Math.max(then.length, otherwise.length))];
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
        var result = new double[Math.max(a.length, b.length)];
        for (int i = 0; i < result.length; i++) {
            result[i] = how.applyAsDouble(at(a, i, result.length), at(b, i, result.length));
        }
        return result;
    }

    /// A value where another of `count` numbers has its `i`-th.
    private double at(double[] value, int i, int count) {
        return value.length == count ? value[i] : value.length == 1 ? value[0] : value[tensor(i)];
    }
}
