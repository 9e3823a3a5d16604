package dev.stepd.demo;

import dev.stepd.demo.Trainer.Standing;
import java.io.Console;
import java.io.PrintStream;
import java.util.List;
import java.util.Locale;

/// Tells how far the trainers are: bars that move on a terminal, now and then a line elsewhere. One thread at a time.
final class Progress {
    private static final int BAR_CELLS = 40;
    private static final int LINES_IN_ALL = 10;
    private static final String LINE_UP = "\033[F";
    private static final String CLEAR_BELOW = "\033[J";

    private final PrintStream out;
    private final boolean moving;
    private final char full;
    private final char empty;
    private List<String> bars = List.of();
    private long told = -1;

    private Progress(PrintStream out, boolean moving) {
        this.out = out;
        this.moving = moving;
        boolean blocks = out.charset().newEncoder().canEncode('█');
        this.full = blocks ? '█' : '#';
        this.empty = blocks ? '░' : '.';
    }

    /// Bars when the program runs on a terminal, else lines.
    static Progress on(PrintStream out) {
        Console console = System.console();
        return new Progress(out, console != null && console.isTerminal());
    }

    static Progress ofLines(PrintStream out) {
        return new Progress(out, false);
    }

    static Progress ofBars(PrintStream out) {
        return new Progress(out, true);
    }

    /// Prints a line that stays.
    void say(String line) {
        erase();
        out.println(line);
        draw();
    }

    void show(List<Standing> standings, long steps) {
        if (moving) {
            erase();
            bars = standings.stream().map(standing -> bar(standing, steps)).toList();
            draw();
            return;
        }
        long share = standings.stream().mapToLong(Standing::step).sum() * LINES_IN_ALL / (steps * standings.size());
        if (share > told) { // not when a restart sets it back
            told = share;
            out.println(line(standings, steps));
        }
    }

    private void erase() {
        if (!bars.isEmpty()) {
            out.print(LINE_UP.repeat(bars.size()) + CLEAR_BELOW);
        }
    }

    private void draw() {
        bars.forEach(out::println);
        out.flush();
    }

    private String bar(Standing standing, long steps) {
        int cells = (int) (standing.step() * BAR_CELLS / steps);
        var bar = String.valueOf(full).repeat(cells) + String.valueOf(empty).repeat(BAR_CELLS - cells);
        return String.format(Locale.ROOT, "  %-6s %s %4d/%d  loss %s",
                standing.optimizer(), bar, standing.step(), steps, loss(standing));
    }

    private static String line(List<Standing> standings, long steps) {
        var line = new StringBuilder();
        for (var standing : standings) {
            line.append(String.format(Locale.ROOT, "  %s %d/%d loss %s",
                    standing.optimizer(), standing.step(), steps, loss(standing)));
        }
        return line.toString();
    }

    private static String loss(Standing standing) {
        return standing.step() == 0 ? "-" : String.format(Locale.ROOT, "%.4f", standing.loss());
    }
}
