package dev.stepd.expr.equation;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Program;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/// Writes a program as equations, each after those it needs.
///
/// `g` is the gradient, `p` the parameter, `delta` what the parameter moves by, `t` the number of the step. A slot's name is
/// its value before the step, with a prime (`exp_avg'`) the one after it. Values used more than once get letters, unless
/// repeating them is shorter to read; so do long values that depend on a condition in the middle of an equation.
public final class Equations {
    private static final List<String> ELEMENT_LETTERS = List.of("u", "w", "x", "y", "z");
    private static final List<String> COARSE_LETTERS = List.of("a", "b", "c", "h", "k", "q", "r");
    /// Operations that an element's value may have and still be repeated.
    private static final int ELEMENT_REPEATED_MAX = 1;
    /// The same for coarser values; `sqrt(1 - beta2^t)` has three.
    private static final int COARSE_REPEATED_MAX = 3;
    /// Operations that repetitions of one value may add.
    private static final int REPEATED_IN_ALL_MAX = 5;
    /// Operations of a value with conditions inside an equation, of an exponent and of what is clipped.
    private static final int INSIDE_MAX = 6;
    /// Operations of a value with conditions between commas.
    private static final int CASES_LISTED_MAX = 3;

    private final Map<Term, Integer> uses = new IdentityHashMap<>();
    private final Set<Term> separate = Collections.newSetFromMap(new IdentityHashMap<>());
    private final Map<Term, String> names = new IdentityHashMap<>();
    private final Set<Term> written = Collections.newSetFromMap(new IdentityHashMap<>());
    private final Set<String> taken = new HashSet<>();
    private final List<Equation> equations = new ArrayList<>();

    private Equations() {}

    /// @param program as a rule states it, before any rewrite
    public static List<Equation> of(Program program) {
        return new Equations().write(program);
    }

    /// One value on its own, such as what a slot starts at.
    public static String text(Expr expr) {
        return new Infix(Map.of()).text(new Terms(hyperparameters(List.of(expr)), List.of()).of(expr));
    }

    private List<Equation> write(Program program) {
        var values = program.assignments().stream().map(Program.Assignment::value).toList();
        var terms = new Terms(hyperparameters(values), values);
        taken.addAll(hyperparameters(values));
        taken.addAll(Terms.RESERVED);
        taken.add("e"); // is a number to readers
        program.reads().forEach(buffer -> taken.add(terms.name(buffer)));
        var roots = values.stream().map(terms::of).toList();
        var order = order(roots);
        for (var term : order) {
            term.operands().forEach(operand -> uses.merge(operand, 1, Integer::sum));
        }
        nameTargets(program, terms, roots);
        separate(order);
        for (int i = 0; i < roots.size(); i++) {
            write(roots.get(i));
            var target = target(program.assignments().get(i).target(), terms);
            if (!target.equals(names.get(roots.get(i)))) {
                equations.add(new Equation(target, List.of(new Equation.Case(infix().text(roots.get(i)), ""))));
            }
        }
        return equations;
    }

    private static Set<String> hyperparameters(List<Expr> values) {
        return Program.nodes(values).stream()
                .filter(Expr.Hyper.class::isInstance)
                .map(node -> ((Expr.Hyper) node).name())
                .collect(Collectors.toSet());
    }

    private static String target(Buffer buffer, Terms terms) {
        return switch (buffer.kind()) {
            case DELTA -> "delta";
            case SLOT, PARAM -> terms.name(buffer) + "'";
            case GRAD, INPUT, HOST, EXTENT, TEMP, METRIC -> terms.name(buffer);
        };
    }

    /// New values of slots go by the slot's name wherever they are used, and so does the delta.
    private void nameTargets(Program program, Terms terms, List<Term> roots) {
        for (var kind : List.of(Buffer.Kind.SLOT, Buffer.Kind.DELTA)) {
            for (int i = 0; i < roots.size(); i++) {
                var target = program.assignments().get(i).target();
                if (target.kind() == kind && !roots.get(i).operands().isEmpty()) {
                    names.putIfAbsent(roots.get(i), target(target, terms));
                }
            }
        }
    }

    /// Decides which values get an equation of their own, by how much would otherwise be written.
    private void separate(List<Term> order) {
        var sizes = new IdentityHashMap<Term, Integer>();
        var places = places(order);
        for (var term : order) {
            int size = term.operands().isEmpty() ? 0 : 1;
            for (var operand : term.operands()) {
                size += sizes.get(operand);
            }
            if (names.containsKey(term) || repeats(term, size) || interrupts(term, size, places)) {
                separate.add(term);
                size = 0;
            }
            sizes.put(term, size);
        }
    }

    private boolean repeats(Term term, int size) {
        int again = uses.getOrDefault(term, 0) - 1;
        int limit = term.form() == Form.CASES ? 0 : term.element() ? ELEMENT_REPEATED_MAX : COARSE_REPEATED_MAX;
        return again > 0 && size > 0 && (size > limit || reduces(term) || again * size > REPEATED_IN_ALL_MAX);
    }

    /// Whether a reader would lose the thread in a value where it stands.
    private static boolean interrupts(Term term, int size, Map<Term, Place> places) {
        return switch (places.getOrDefault(term, Place.JOINED)) {
            case LAST -> false;
            case CASE -> term.form() == Form.CASES;
            case INSIDE -> size > (term.form() == Form.CASES ? CASES_LISTED_MAX : INSIDE_MAX);
            case JOINED -> term.form() == Form.CASES && size > INSIDE_MAX;
        };
    }

    /// Where a term stands in the one it is part of.
    private enum Place {
        /// The value when no condition holds: further conditions may follow there.
        LAST,
        /// The value under a condition.
        CASE,
        /// Between commas, or raised.
        INSIDE,
        JOINED
    }

    private static Map<Term, Place> places(List<Term> order) {
        var places = new IdentityHashMap<Term, Place>();
        for (var term : order) {
            boolean raises = term.form() == Form.POWER;
            boolean lists = term.form() == Form.CALL && term.operands().size() > 1;
            for (int i = 0; i < term.operands().size(); i++) {
                var place = term.form() == Form.CASES ? List.of(Place.JOINED, Place.CASE, Place.LAST).get(i)
                        : lists || raises && i == 1 ? Place.INSIDE : Place.JOINED;
                places.put(term.operand(i), place);
            }
        }
        return places;
    }

    /// Whether a value is measured over elements, which is not said twice.
    private static boolean reduces(Term term) {
        return term.form() == Form.CALL && term.text().indexOf('_') > 0;
    }

    private void write(Term term) {
        if (!written.add(term)) {
            return;
        }
        term.operands().forEach(this::write);
        if (separate.contains(term)) {
            var name = names.containsKey(term) ? names.get(term) : letter(term);
            equations.add(new Equation(name, cases(term)));
            names.put(term, name);
        }
    }

    private List<Equation.Case> cases(Term term) {
        var infix = infix();
        var cases = new ArrayList<Equation.Case>();
        var rest = term;
        while (rest.form() == Form.CASES && (rest == term || !separate.contains(rest))) {
            cases.add(new Equation.Case(infix.text(rest.operand(1)), infix.text(rest.operand(0))));
            rest = rest.operand(2);
        }
        cases.add(new Equation.Case(rest == term ? infix.definition(rest) : infix.text(rest), ""));
        return cases;
    }

    private Infix infix() {
        return new Infix(names);
    }

    private String letter(Term term) {
        var letters = term.element() ? ELEMENT_LETTERS : COARSE_LETTERS;
        for (int round = 0;; round++) {
            for (var letter : letters) {
                var name = round == 0 ? letter : letter + round;
                if (taken.add(name)) {
                    return name;
                }
            }
        }
    }

    /// Every term below `roots` once, operands first.
    private static List<Term> order(List<Term> roots) {
        var seen = Collections.<Term>newSetFromMap(new IdentityHashMap<>());
        var order = new ArrayList<Term>();
        roots.forEach(root -> visit(root, seen, order));
        return order;
    }

    private static void visit(Term term, Set<Term> seen, List<Term> order) {
        if (seen.add(term)) {
            term.operands().forEach(operand -> visit(operand, seen, order));
            order.add(term);
        }
    }
}
