package dev.stepd.session;

import java.security.SecureRandom;
import java.util.HexFormat;

/// Makes names for sessions and snapshots: hexadecimal, in the order they were made, never the same twice.
final class Identifier {
    private static final SecureRandom RANDOM = new SecureRandom();
    private static final int TIME_DIGITS = 12;

    private Identifier() {}

    static String next() {
        var hex = HexFormat.of();
        return hex.toHexDigits(System.currentTimeMillis(), TIME_DIGITS)
                + "-" + hex.toHexDigits(RANDOM.nextLong(), TIME_DIGITS);
    }
}
