package dev.stepd.expr.equation;

import java.util.List;

/// A value as it is written down. Terms of one [Terms] that say the same are one object, and are compared as such.
///
/// @param text the operator, the function, the name or the number
/// @param element whether it varies over elements
record Term(Form form, String text, List<Term> operands, boolean element) {
    boolean is(Form form, String text) {
        return this.form == form && this.text.equals(text);
    }

    boolean isNumber() {
        return form == Form.ATOM && (Character.isDigit(text.charAt(0)) || text.equals(Numbers.INFINITY));
    }

    Term operand(int index) {
        return operands.get(index);
    }
}
