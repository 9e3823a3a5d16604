package dev.stepd.expr.equation;

import java.util.ArrayList;
import java.util.List;

/// Equations below each other: the equals signs aligned, long ones broken where they join loosest.
public final class Layout {
    private static final int WIDTH = 100;
    /// What a line may be broken before, the loosest first.
    private static final List<List<String>> BREAKS = List.of(
            List.of(" else "), List.of(" if ", " and ", " or "), List.of(" + ", " - "), List.of(" * ", " / "));
    /// How much of a line has to be filled before it is broken, if it can be.
    private static final double FILLED = 0.33;

    private final List<String> lines = new ArrayList<>();
    private final int indent;

    private Layout(int indent) {
        this.indent = indent;
    }

    /// Lines of at most 100 characters where that can be, each ending in a line break.
    public static String of(List<Equation> equations) {
        int longest = equations.stream().mapToInt(equation -> equation.name().length()).max().orElse(0);
        var layout = new Layout(longest + 3);
        equations.forEach(layout::add);
        return String.join("\n", layout.lines) + "\n";
    }

    private void add(Equation equation) {
        var cases = equation.cases();
        int value = cases.stream().mapToInt(c -> c.value().length()).max().orElse(0);
        int when = cases.stream().mapToInt(c -> c.when().length()).max().orElse(0);
        boolean aligned = cases.size() > 1 && indent + value + 4 + when <= WIDTH;
        var before = equation.name() + " ".repeat(indent - 3 - equation.name().length()) + " = ";
        for (var c : cases) {
            if (cases.size() == 1) {
                wrap(before, c.value());
            } else if (aligned) {
                lines.add(before + c.value() + " ".repeat(value - c.value().length() + 4) + c.when());
            } else {
                wrap(before, c.value());
                place("    " + c.when());
            }
            before = " ".repeat(indent);
        }
    }

    /// Puts what follows a value behind it, or below where there is no room.
    private void place(String text) {
        var last = lines.getLast();
        if (last.length() + text.length() <= WIDTH) {
            lines.set(lines.size() - 1, last + text);
        } else {
            wrap(" ".repeat(indent), text);
        }
    }

    private void wrap(String before, String text) {
        var rest = text;
        var start = before;
        while (start.length() + rest.length() > WIDTH) {
            int at = breakAt(rest, WIDTH - start.length());
            if (at < 0) {
                break;
            }
            lines.add(start + rest.substring(0, at));
            rest = rest.substring(at + 1);
            start = " ".repeat(indent + 4);
        }
        lines.add(start + rest);
    }

    /// The last place within `room` where the text joins loosest: outside as many parentheses as can be, then by operator.
    private static int breakAt(String text, int room) {
        int best = breakAt(text, (int) (room * FILLED), room);
        return best < 0 ? breakAt(text, 1, room) : best;
    }

    private static int breakAt(String text, int from, int room) {
        int best = -1;
        int loosest = Integer.MAX_VALUE;
        int depth = 0;
        for (int i = 0; i < Math.min(text.length(), room); i++) {
            char c = text.charAt(i);
            depth += c == '(' ? 1 : c == ')' ? -1 : 0;
            int tightness = c == ' ' && i >= from ? tightness(text, i) : -1;
            if (tightness >= 0 && depth * BREAKS.size() + tightness <= loosest) {
                loosest = depth * BREAKS.size() + tightness;
                best = i;
            }
        }
        return best;
    }

    private static int tightness(String text, int at) {
        if (text.charAt(at - 1) == ',') {
            return 0;
        }
        for (int i = 0; i < BREAKS.size(); i++) {
            if (BREAKS.get(i).stream().anyMatch(operator -> text.startsWith(operator, at))) {
                return i;
            }
        }
        return -1;
    }
}
