package dev.stepd.expr.equation;

import dev.stepd.expr.BinaryOp;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.CompareOp;
import dev.stepd.expr.Expr;
import dev.stepd.expr.ReduceOp;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Table;
import dev.stepd.expr.Type;
import dev.stepd.expr.UnaryOp;
import java.util.Collections;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/// Reads expressions as terms. What matters to bits and not to mathematics is left out: conversions, and the order in which
/// products and sums are taken. Signs move outwards, `x * x` becomes `x^2`, roots of sums of squares become norms.
final class Terms {
    private record Key(Form form, String text, List<Integer> operands) {}

    /// What equations call other things than hyperparameters.
    static final Set<String> RESERVED = Set.of("g", "p", "t", "delta");

    private final Map<Key, Term> terms = new HashMap<>();
    private final Map<Term, Integer> numbers = new IdentityHashMap<>();
    private final Map<Expr, Term> read = new IdentityHashMap<>();
    private final Set<String> hyperparameters;
    /// Terms that are assigned, which are not taken apart: where they are used, their name says more.
    private final Set<Term> whole = Collections.newSetFromMap(new IdentityHashMap<>());
    private final Set<Expr> assigned = Collections.newSetFromMap(new IdentityHashMap<>());

    /// @param hyperparameters the names of numbers, which slots are told apart from
    /// @param assigned values that have a name
    Terms(Set<String> hyperparameters, List<Expr> assigned) {
        this.hyperparameters = hyperparameters;
        assigned.forEach(value -> this.assigned.add(value instanceof Expr.Convert(_, Expr x) ? x : value));
    }

    Term of(Expr expr) {
        var known = read.get(expr);
        if (known == null) {
            known = make(expr);
            read.put(expr, known);
            if (assigned.contains(expr)) {
                whole.add(known);
            }
        }
        return known;
    }

    /// An array's value before the step.
    String name(Buffer buffer) {
        return switch (buffer.kind()) {
            case GRAD -> "g";
            case PARAM -> "p";
            case DELTA -> "delta";
            case SLOT -> hyperparameters.contains(buffer.name()) ? buffer.name() + "_state" : buffer.name();
            case EXTENT -> "count_" + buffer.scope();
            case INPUT, HOST, TEMP, METRIC -> buffer.name();
        };
    }

    private Term make(Expr expr) {
        return switch (expr) {
            case Expr.Const(Type type, long bits) -> number(Numbers.text(type, bits));
            case Expr.Hyper(String name, _) -> hyper(name);
            case Expr.Counter _ -> atom("t", false);
            case Expr.Index() -> atom("index", true);
            case Expr.Draw(String stream) -> intern(Form.CALL, "draw", atom(stream, true));
            case Expr.Read(Buffer buffer) -> atom(name(buffer), buffer.scope().isElement());
            case Expr.Unary(UnaryOp op, Expr x) -> unary(op, of(x));
            case Expr.Binary(BinaryOp op, Expr a, Expr b) -> binary(op, of(a), of(b));
            case Expr.Fma(Expr a, Expr b, Expr c) -> sum("+", product("*", of(a), of(b)), of(c));
            case Expr.Compare(CompareOp op, Expr a, Expr b) -> comparison(op, of(a), of(b));
            case Expr.Select(Expr condition, Expr then, Expr otherwise) ->
                cases(of(condition), of(then), of(otherwise));
            case Expr.Convert(_, Expr x) -> of(x);
            case Expr.Bits(Expr x) -> intern(Form.CALL, "bits", of(x));
            case Expr.Lookup(Table table, Expr index) -> intern(Form.CALL, table.name(), of(index));
            case Expr.Ranked(Scope over, Expr x, Expr rank) -> reduced("ranked_" + over, of(x), of(rank));
            case Expr.RunningSum(Expr x) -> reduced("sum_over_tensors_so_far", of(x));
            case Expr.Reduce(ReduceOp op, Scope over, Expr x) -> reduction(op, over, of(x));
        };
    }

    private Term number(String text) {
        return text.startsWith("-") ? negated(atom(text.substring(1), false)) : atom(text, false);
    }

    private Term hyper(String name) {
        int colon = name.indexOf(':');
        return colon < 0 ? atom(RESERVED.contains(name) ? name + "_" : name, false)
                : intern(Form.CALL, name.substring(0, colon), atom(name.substring(colon + 1), false));
    }

    private Term unary(UnaryOp op, Term x) {
        return switch (op) {
            case NEG -> negated(x);
            case SQRT -> x.is(Form.CALL, "sum_" + scopeOf(x)) && square(x.operand(0))
                    ? reduced("norm_" + scopeOf(x), x.operand(0).operand(0)) : intern(Form.CALL, "sqrt", x);
            case LOG -> intern(Form.CALL, "ln", x);
            case ABS -> intern(Form.CALL, "abs", negative(x) ? x.operand(0) : x);
            case SIGN, EXP, TANH, COS, SIN -> intern(Form.CALL, op.name().toLowerCase(Locale.ROOT), x);
        };
    }

    private Term binary(BinaryOp op, Term a, Term b) {
        return switch (op) {
            case ADD -> sum("+", a, b);
            case SUB -> sum("-", a, b);
            case MUL -> product("*", a, b);
            case DIV -> product("/", a, b);
            case MIN, MAX -> smallerOrLarger(op.symbol(), a, b);
            case POW -> intern(Form.POWER, "^", a, b);
            case MOD -> intern(Form.PRODUCT, "mod", a, b);
            case MIX, XOR -> intern(Form.CALL, op.name().toLowerCase(Locale.ROOT), a, b);
            case AND -> intern(Form.AND, "and", a, b);
            case OR -> intern(Form.OR, "or", a, b);
            case SHL, SHR -> intern(Form.CALL, op.name().toLowerCase(Locale.ROOT), a, b);
        };
    }

    private Term smallerOrLarger(String name, Term a, Term b) {
        return name.equals("min") && a.is(Form.CALL, "max") && a.operand(0).element()
                ? intern(Form.CALL, "clip", a.operand(0), a.operand(1), b) : intern(Form.CALL, name, a, b);
    }

    private boolean negative(Term x) {
        return x.form() == Form.NEGATION && !whole.contains(x);
    }

    private Term negated(Term x) {
        if (negative(x)) {
            return x.operand(0);
        }
        boolean turns = x.is(Form.SUM, "-") && x.operand(0).form() != Form.NEGATION && !whole.contains(x);
        return turns ? sum("-", x.operand(1), x.operand(0)) : intern(Form.NEGATION, "-", x);
    }

    /// `a + -b -> a - b`, `a - -b -> a + b`, `-a + b -> b - a`, `a - a -> 0`, `a - (a - b) -> b`
    private Term sum(String sign, Term a, Term b) {
        if (negative(b)) {
            return sum(sign.equals("+") ? "-" : "+", a, b.operand(0));
        }
        if (sign.equals("+")) {
            return negative(a) ? sum("-", b, a.operand(0)) : intern(Form.SUM, sign, a, b);
        }
        if (a == b) {
            return atom("0", false);
        }
        return b.is(Form.SUM, "-") && a == b.operand(0) ? b.operand(1) : intern(Form.SUM, sign, a, b);
    }

    /// Signs move out, numbers to the front; `a * a -> a^2`, `a * (1 / b) -> a / b`, a sum over its count is a mean.
    private Term product(String sign, Term a, Term b) {
        boolean times = sign.equals("*");
        if (negative(a)) {
            return negated(product(sign, a.operand(0), b));
        }
        if (negative(b)) {
            return negated(product(sign, a, b.operand(0)));
        }
        if (times && a == b) {
            return intern(Form.POWER, "^", a, atom("2", false));
        }
        if (times && b.isNumber() && !a.isNumber()) {
            return intern(Form.PRODUCT, sign, b, a);
        }
        if (times && b.is(Form.PRODUCT, "/") && b.operand(0).text().equals("1")) {
            return product("/", a, b.operand(1));
        }
        if (!times && a.is(Form.CALL, "sum_" + scopeOf(a)) && b.is(Form.ATOM, "count_" + scopeOf(a))) {
            return reduced("mean_" + scopeOf(a), a.operand(0));
        }
        return intern(Form.PRODUCT, sign, a, b);
    }

    /// What varies more stands on the left: `5 < x` is `x > 5`.
    private Term comparison(CompareOp op, Term a, Term b) {
        if (op == CompareOp.EQ) {
            return intern(Form.COMPARISON, "=", a, b);
        }
        boolean turned = variety(a) < variety(b);
        return turned ? intern(Form.COMPARISON, op.symbol().replace('<', '>'), b, a)
                : intern(Form.COMPARISON, op.symbol(), a, b);
    }

    /// 0 for numbers, 1 for hyperparameters, 2 for what changes with steps or tensors, 3 for elements.
    private int variety(Term term) {
        if (term.operands().isEmpty()) {
            return term.isNumber() ? 0 : hyperparameters.contains(term.text()) ? 1 : term.element() ? 3 : 2;
        }
        return term.operands().stream().mapToInt(this::variety).max().orElse(0);
    }

    /// Conditions of which all have to hold are one.
    private Term cases(Term condition, Term then, Term otherwise) {
        boolean joins = then.form() == Form.CASES && then.operand(2) == otherwise && !whole.contains(then);
        return joins
                ? intern(Form.CASES, "", intern(Form.AND, "and", condition, then.operand(0)), then.operand(1), otherwise)
                : intern(Form.CASES, "", condition, then, otherwise);
    }

    /// The sign of a sum stands before it.
    private Term reduction(ReduceOp op, Scope over, Term x) {
        var name = op.name().toLowerCase(Locale.ROOT) + "_" + over;
        return op == ReduceOp.SUM && negative(x) ? negated(reduced(name, x.operand(0))) : reduced(name, x);
    }

    private Term reduced(String name, Term... operands) {
        var list = List.of(operands);
        return intern(new Key(Form.CALL, name, list.stream().map(numbers::get).toList()), list, false);
    }

    /// What `sum_tensor` and the like run over.
    private static String scopeOf(Term term) {
        return term.text().substring(term.text().indexOf('_') + 1);
    }

    private static boolean square(Term term) {
        return term.form() == Form.POWER && term.operand(1).text().equals("2");
    }

    private Term atom(String text, boolean element) {
        return intern(new Key(Form.ATOM, text, List.of()), List.of(), element);
    }

    private Term intern(Form form, String text, Term... operands) {
        var list = List.of(operands);
        var key = new Key(form, text, list.stream().map(numbers::get).toList());
        return intern(key, list, list.stream().anyMatch(Term::element));
    }

    private Term intern(Key key, List<Term> operands, boolean element) {
        return terms.computeIfAbsent(key, _ -> {
            var term = new Term(key.form(), key.text(), operands, element);
            numbers.put(term, numbers.size());
            return term;
        });
    }
}
