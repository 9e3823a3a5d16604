package dev.stepd.expr.codec;

import static dev.stepd.expr.codec.Words.abs;
import static dev.stepd.expr.codec.Words.atMost;
import static dev.stepd.expr.codec.Words.bits;
import static dev.stepd.expr.codec.Words.less;
import static dev.stepd.expr.codec.Words.oneIf;
import static dev.stepd.expr.codec.Words.real;
import static dev.stepd.expr.codec.Words.right;
import static dev.stepd.expr.codec.Words.whole;
import static dev.stepd.expr.codec.Words.xor;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Table;
import dev.stepd.expr.Type;

/// The 256 codes of a dynamic book. Within a decade codes are a linear function of the value, so two lines for each power of
/// two (no more decades meet there) say which code it is or which one is next to it from above; one midpoint decides.
///
/// Lines fall the steeper the lower their decade, so the one that holds is the least. A code is right because the guess is
/// monotone between powers of two, and is the code or one below at both ends of each stretch of values that have the
/// same code: `CodecsTest` goes through all of them.
record DynamicCodes(boolean signed, Tie tie) implements Codes {
    private static final int DECADES = 7;
    private static final CodeBook SIGNED = CodeBook.dynamic(true, DECADES);
    private static final CodeBook UNSIGNED = CodeBook.dynamic(false, DECADES);
    /// The exponent field of the smallest power of two that has lines of its own; 32 are enough for all midpoints.
    private static final int EXPONENT_MIN = 96;

    CodeBook book() {
        return signed ? SIGNED : UNSIGNED;
    }

    @Override
    public String name() {
        return book().name();
    }

    @Override
    public Type storage() {
        return Type.I8;
    }

    @Override
    public float top() {
        return 1;
    }

    @Override
    public Expr decode(Expr code) {
        return new Expr.Lookup(Table.of(book().name(), book().array()), code);
    }

    @Override
    public Expr encode(Expr value) {
        // What is below the book, or NaN, becomes the book's first.
        var first = real(book().values().getFirst());
        var share = Expr.select(atMost(first, value), value, first);
        var size = signed ? abs(share) : share;
        var guess = guess(size);
        var midpoint = new Expr.Lookup(midpoints(), guess);
        if (!signed) {
            return guess.plus(oneIf(less(midpoint, bits(size))));
        }
        // To be lower is to be larger below zero: there the other of two tying codes wins, one unit of the last place away.
        var sign = right(bits(share), 31);
        var place = tie == Tie.LOWER ? bits(size).plus(sign) : bits(size).minus(sign);
        var steps = guess.plus(oneIf(less(midpoint, place)));
        return xor(steps, whole(0).minus(sign)).plus(sign).plus(whole(zero()));
    }

    /// The code of zero.
    private int zero() {
        return signed ? 127 : 0;
    }

    /// How many codes a size is above zero's, or one less, in the lowest bits.
    private Expr guess(Expr size) {
        // The power of two below, or the smallest that counts; 32 of them tell themselves apart by their last bits.
        var power = right(bits(size.plus(real(Math.scalb(1.0, EXPONENT_MIN - 127)))), 23);
        var first = line(0, power, size);
        var last = line(1, power, size);
        return bits(Expr.select(less(first, last), first, last).plus(real(0x1p23)));
    }

    /// @param end which of the decades at a power of two: that of its beginning or that of its end
    private Expr line(int end, Expr power, Expr size) {
        var slopes = new float[32];
        var offsets = new float[32];
        for (int i = 0; i < slopes.length; i++) {
            // The table's index is the exponent field's last bits.
            int exponent = EXPONENT_MIN + (i - EXPONENT_MIN & 31) - 127;
            int decade = decade(end == 0 ? Math.scalb(1.0, exponent) : Math.nextDown(Math.scalb(2.0, exponent)));
            int count = (signed ? 1 : 2) << decade;
            slopes[i] = (float) (count * Math.pow(10, DECADES - 1 - decade) / 0.9);
            // A value in the middle of its code is half a code above the code's number, and another half makes a guess that is
            // one too low as likely as one that is right: both will do.
            offsets[i] = (float) (count * 8 / 9.0 - (signed ? 1 : 2));
        }
        var name = name() + "-line-" + end;
        return new Expr.Fma(
                size,
                new Expr.Lookup(Table.of(name + "-slope", slopes), power),
                new Expr.Lookup(Table.of(name + "-offset", offsets), power));
    }

    private static int decade(double value) {
        int decade = 0;
        while (decade < DECADES - 1 && value >= Math.pow(10, decade - DECADES + 1)) {
            decade++;
        }
        return decade;
    }

    /// The patterns of the midpoints from zero's code up; what exceeds the last has no further code.
    private Table midpoints() {
        var midpoints = book().midpoints();
        var patterns = new int[256 - zero() - (signed ? 1 : 0)];
        for (int i = 0; i < patterns.length; i++) {
            int at = zero() + i;
            patterns[i] = at < midpoints.size() ? Float.floatToIntBits(midpoints.get(at)) : Integer.MAX_VALUE;
            patterns[i] -= tie == Tie.UPPER && at < midpoints.size() ? 1 : 0;
        }
        return Table.of(name() + "-midpoints-" + tie.name().toLowerCase(java.util.Locale.ROOT), patterns);
    }
}
