package dev.stepd.expr.equation;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// Writes terms with as few parentheses as leave no doubt.
///
/// @param names terms that are written by name; compared as objects
record Infix(Map<Term, String> names) {
    String text(Term term) {
        var name = names.get(term);
        return name == null ? definition(term) : name;
    }

    /// A term by its operands, even if it has a name.
    String definition(Term term) {
        return switch (term.form()) {
            case ATOM -> term.text();
            case CALL -> call(term);
            case POWER -> within(Form.CALL, term.operand(0)) + "^" + within(Form.CALL, term.operand(1));
            case NEGATION -> "-" + within(Form.PRODUCT, term.operand(0));
            case PRODUCT -> product(term);
            case SUM -> joined(term, Form.SUM, term.text().equals("+") ? Form.SUM : Form.PRODUCT);
            case COMPARISON -> joined(term, Form.SUM, Form.SUM);
            case AND -> joined(term, Form.AND, Form.AND);
            case OR -> joined(term, Form.OR, Form.OR);
            case CASES -> within(Form.OR, term.operand(1)) + " if " + text(term.operand(0)) + " else " + text(term.operand(2));
        };
    }

    /// `a * (b / c)` loses its parentheses, `a / (b * c)` and `a mod (b * c)` keep them.
    private String product(Term term) {
        boolean free = term.text().equals("*");
        return joined(term, Form.PRODUCT, free ? Form.PRODUCT : Form.POWER);
    }

    private String joined(Term term, Form left, Form right) {
        return within(left, term.operand(0)) + " " + term.text() + " " + within(right, term.operand(1));
    }

    /// An operand, in parentheses if it is looser than `least`.
    private String within(Form least, Term operand) {
        boolean fraction = operand.text().indexOf('/') > 0;
        boolean loose = !names.containsKey(operand) && operand.form().loosens(least);
        return loose || fraction && least == Form.CALL ? "(" + text(operand) + ")" : text(operand);
    }

    private String call(Term term) {
        var arguments = arguments(term);
        if (term.text().equals("abs") && !arguments.contains("|")) {
            return "|" + arguments + "|";
        }
        return term.text() + "(" + arguments + ")";
    }

    /// `max(max(a, b), c)` is `max(a, b, c)`.
    private String arguments(Term term) {
        var texts = new ArrayList<String>();
        collect(term, texts);
        return String.join(", ", texts);
    }

    private void collect(Term term, List<String> texts) {
        for (var operand : term.operands()) {
            boolean same = operand.is(Form.CALL, term.text()) && List.of("min", "max").contains(term.text());
            if (same && !names.containsKey(operand)) {
                collect(operand, texts);
            } else {
                texts.add(text(operand));
            }
        }
    }
}
