package dev.stepd.expr.equation;

/// How a term joins its operands, from the loosest to the tightest.
enum Form {
    /// `a if c else b`; operands condition, then, otherwise.
    CASES,
    OR,
    AND,
    COMPARISON,
    /// `a + b` or `a - b`.
    SUM,
    NEGATION,
    /// `a * b` or `a / b`.
    PRODUCT,
    POWER,
    /// A function by name.
    CALL,
    /// A name or a number.
    ATOM;

    boolean loosens(Form other) {
        return ordinal() < other.ordinal();
    }
}
