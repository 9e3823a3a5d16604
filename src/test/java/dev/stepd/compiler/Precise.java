package dev.stepd.compiler;

import java.math.BigDecimal;
import java.math.MathContext;

/// Functions to 36 digits, for judging what is right to the last bit of 53.
final class Precise {
    private static final MathContext DIGITS = new MathContext(36);
    private static final BigDecimal ONE = BigDecimal.ONE;
    private static final BigDecimal TWO = BigDecimal.valueOf(2);

    private Precise() {}

    /// `exp(x / 2^k)` by its series, squared `k` times.
    static BigDecimal exp(BigDecimal x) {
        int halvings = 0;
        var small = x;
        while (small.abs().compareTo(new BigDecimal("0.01")) > 0) {
            small = small.divide(TWO, DIGITS);
            halvings++;
        }
        var term = ONE;
        var sum = ONE;
        for (int i = 1; term.signum() != 0 && i < 18; i++) {
            term = term.multiply(small, DIGITS).divide(BigDecimal.valueOf(i), DIGITS);
            sum = sum.add(term, DIGITS);
        }
        for (int i = 0; i < halvings; i++) {
            sum = sum.multiply(sum, DIGITS);
        }
        return sum;
    }

    /// Halley's iteration from 16 right digits to as many as there are.
    static BigDecimal log(double x) {
        var guess = new BigDecimal(StrictMath.log(x));
        var power = exp(guess);
        var value = new BigDecimal(x);
        var correction = TWO.multiply(value.subtract(power)).divide(value.add(power), DIGITS);
        return guess.add(correction, DIGITS);
    }

    static BigDecimal tanh(double x) {
        var power = exp(new BigDecimal(x).multiply(TWO));
        return power.subtract(ONE).divide(power.add(ONE), DIGITS);
    }

    static BigDecimal pow(double x, double y) {
        return exp(new BigDecimal(y).multiply(log(x), DIGITS));
    }
}
