package dev.stepd.rule;

import java.util.regex.Pattern;

/// A pattern for tensor names: `*` is any characters, `?` one, `[abc]` or `[a-z]` one of them, `[!abc]` none of them;
/// anything else is itself, so `[*]` is a star.
public record Glob(String text, Pattern pattern) {
    public static Glob of(String text) {
        var regex = new StringBuilder();
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            int end = c == '[' ? text.indexOf(']', i + 2) : -1;
            if (c == '*') {
                regex.append(".*");
            } else if (c == '?') {
                regex.append('.');
            } else if (end > 0) {
                regex.append(set(text.substring(i + 1, end)));
                i = end;
            } else {
                regex.append(Pattern.quote(String.valueOf(c)));
            }
        }
        return new Glob(text, Pattern.compile(regex.toString(), Pattern.DOTALL));
    }

    private static String set(String members) {
        boolean negated = members.startsWith("!") && members.length() > 1;
        var escaped = new StringBuilder(negated ? "[^" : "[");
        for (char c : members.substring(negated ? 1 : 0).toCharArray()) {
            // A dash between two members keeps its meaning; everything else stands for itself.
            escaped.append(c == '-' || Character.isLetterOrDigit(c) ? String.valueOf(c) : "\\" + c);
        }
        return escaped.append(']').toString();
    }

    public boolean matches(String name) {
        return pattern.matcher(name).matches();
    }
}
