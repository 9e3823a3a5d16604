package dev.stepd.expr.codec;

import static dev.stepd.expr.codec.Words.atMost;
import static dev.stepd.expr.codec.Words.less;
import static dev.stepd.expr.codec.Words.oneIf;
import static dev.stepd.expr.codec.Words.real;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Table;
import dev.stepd.expr.Type;

/// Codes of any small book, found by halving: which of the midpoints a value exceeds, the middle one first. NaN exceeds none.
///
/// @param book of a power of two of values
record BookCodes(CodeBook book, Tie tie, Type storage) implements Codes {
    @Override
    public String name() {
        return book.name();
    }

    @Override
    public float top() {
        return 1;
    }

    @Override
    public Expr decode(Expr code) {
        return new Expr.Lookup(Table.of(book.name(), book.array()), code);
    }

    @Override
    public Expr encode(Expr value) {
        var midpoints = CodeBook.array(book.midpoints());
        int levels = Integer.numberOfTrailingZeros(book.values().size());
        var code = passes(real(midpoints[midpoints.length / 2]), value);
        for (int level = 1; level < levels; level++) {
            var candidates = new float[1 << level];
            for (int i = 0; i < candidates.length; i++) {
                candidates[i] = midpoints[(2 * i + 1 << levels - 1 - level) - 1];
            }
            var midpoint = new Expr.Lookup(Table.of(book.name() + "-midpoints-" + level, candidates), code);
            code = code.plus(code).plus(passes(midpoint, value));
        }
        return code;
    }

    private Expr passes(Expr midpoint, Expr value) {
        return oneIf(tie == Tie.LOWER ? less(midpoint, value) : atMost(midpoint, value));
    }
}
