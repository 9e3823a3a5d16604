package dev.stepd.codegen.cuda;

import java.util.regex.Pattern;

/// Text of a program, indented by its braces.
final class Lines {
    private static final Pattern CONSTANT = Pattern.compile("(?m)^ *const [^=;{}]*?(\\w+) = [^;{}]*;\n");

    private final StringBuilder text = new StringBuilder();
    private int depth;

    void line(String line) {
        if (!line.isEmpty()) {
            text.repeat("    ", depth).append(line);
        }
        text.append('\n');
    }

    /// A line that ends with an opening brace.
    void open(String head) {
        line(head.isEmpty() ? "{" : head + " {");
        depth++;
    }

    void close() {
        close("");
    }

    /// @param tail what follows the brace
    void close(String tail) {
        depth--;
        line("}" + tail);
    }

    void add(Lines others) {
        others.text.toString().lines().forEach(this::line);
    }

    /// Drops the constants that nothing else mentions: what writes them cannot know yet.
    void dropUnused() {
        for (boolean dropped = true; dropped; ) {
            dropped = false;
            for (var declared : CONSTANT.matcher(text).results().toList().reversed()) {
                if (Pattern.compile("(?<![.\\w])" + declared.group(1) + "\\b").matcher(text).results().limit(2).count() == 1) {
                    text.delete(declared.start(), declared.end());
                    dropped = true;
                }
            }
        }
    }

    @Override
    public String toString() {
        return text.toString();
    }
}
