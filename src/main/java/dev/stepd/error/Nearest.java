package dev.stepd.error;

import java.util.Collection;
import java.util.Comparator;
import java.util.Optional;

/// Finds the name somebody probably meant.
public final class Nearest {
    private Nearest() {}

    /// The known name with the smallest edit distance to `name`, if at most a third of it differs.
    public static Optional<String> to(String name, Collection<String> known) {
        return known.stream()
                .min(Comparator.comparingInt(candidate -> distance(name, candidate)))
                .filter(best -> distance(name, best) <= Math.max(1, Math.max(name.length(), best.length()) / 3));
    }

    /// `; did you mean "adamw"?`, or nothing when no known name is near.
    public static String hint(String name, Collection<String> known) {
        return to(name, known).map(best -> "; did you mean \"" + best + "\"?").orElse("");
    }

    private static int distance(String a, String b) {
        if (Math.abs(a.length() - b.length()) > 64 || a.length() > 256) {
            return Integer.MAX_VALUE;
        }
        var row = new int[b.length() + 1];
        for (int j = 0; j <= b.length(); j++) {
            row[j] = j;
        }
        for (int i = 1; i <= a.length(); i++) {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.length(); j++) {
                int substituted = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.min(substituted, 1 + Math.min(row[j], row[j - 1]));
            }
        }
        return row[b.length()];
    }
}
