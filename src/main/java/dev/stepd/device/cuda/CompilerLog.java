package dev.stepd.device.cuda;

import java.util.regex.Pattern;

/// What a compiler said about a text. Generated text that does not compile is a defect of stepd: the message has all that is
/// needed to see it.
final class CompilerLog {
    /// `adamw.cu(12): error: ...`, or as other compilers say it `adamw.cu:12:5: error: ...`.
    private static final Pattern ERROR =
            Pattern.compile("^[^\\n]*?[(:](\\d+)(?:\\)|:\\d+)?\\s*:\\s*(?:[a-z]+ )?error\\b", Pattern.MULTILINE);

    private static final int LINES_AROUND = 6;
    private static final int LOG_LINES = 60;

    private CompilerLog() {}

    /// The log's beginning and the lines around the first error, numbered.
    static String explain(String log, String text) {
        var said = new StringBuilder();
        var lines = log.lines().toList();
        lines.stream().limit(LOG_LINES).forEach(line -> said.append(line).append('\n'));
        if (lines.size() > LOG_LINES) {
            said.append("... ").append(lines.size() - LOG_LINES).append(" more lines\n");
        }
        var error = ERROR.matcher(log);
        if (error.find()) {
            said.append(around(text, Integer.parseInt(error.group(1))));
        }
        return said.toString();
    }

    private static String around(String text, int number) {
        var lines = text.lines().toList();
        var quoted = new StringBuilder();
        for (int i = Math.max(1, number - LINES_AROUND); i <= Math.min(lines.size(), number + LINES_AROUND); i++) {
            quoted.append(i == number ? "> " : "  ").append(i).append("  ").append(lines.get(i - 1)).append('\n');
        }
        return quoted.toString();
    }
}
