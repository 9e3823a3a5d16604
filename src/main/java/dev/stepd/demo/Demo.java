package dev.stepd.demo;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;

/// Three optimizers learn to read digits, each in a session of one server, which is killed half-way and started again
/// on its data. Ends with a table and a plot of the losses.
public final class Demo {
    private static final int EPOCHS = 30;
    private static final long SEED = 7;
    private static final double ACCURACY_EXPECTED = 0.96;
    private static final Path PLOT = Path.of("stepd-demo.png");

    private Demo() {}

    /// Runs the demo, which leaves nothing but the plot in the working directory.
    ///
    /// @param mainClass the program on this class path whose `serve` runs a server
    /// @return 0 when the best network reads at least 96 % of digits it never saw, else 1
    public static int run(String mainClass, PrintStream out, PrintStream err) {
        try (var server = ServerProcess.start(mainClass)) {
            var course = new Course(Digits.load(SEED), EPOCHS, SEED);
            introduce(server, course, out);
            var results = new Training(server, course, Contestant.ALL, Progress.on(out)).runThroughCrash();
            table(results, out);
            plot(course, results, out);
            return judge(results, out);
        } catch (IOException | RuntimeException e) {
            err.println("stepd: the demo failed: " + e.getMessage());
            return 1;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return 1;
        }
    }

    private static void introduce(ServerProcess server, Course course, PrintStream out) {
        out.printf(Locale.ROOT, "server at %s, data in %s%n", server.address(), server.data());
        out.printf(Locale.ROOT, "a 64-128-10 network learns %,d digits in batches of %d; %,d more are for the test%n",
                course.digits().training().count(), Course.BATCH, course.digits().test().count());
    }

    private static void table(List<Trained> results, PrintStream out) {
        out.printf("%n%-10s %14s %8s %14s%n", "optimizer", "test accuracy", "steps", "restored step");
        for (var result : results) {
            var restored = result.restoredStep().isPresent() ? Long.toString(result.restoredStep().getAsLong()) : "-";
            out.printf(Locale.ROOT, "%-10s %14.4f %8d %14s%n",
                    result.optimizer(), result.accuracy(), result.steps(), restored);
        }
        long repeated = results.stream().mapToLong(Trained::repeatedSteps).sum();
        out.printf(Locale.ROOT, "%n%d steps were taken a second time, each with the same loss to the last bit;%n"
                + "client and server end with the same parameters to the last bit%n", repeated);
    }

    private static void plot(Course course, List<Trained> results, PrintStream out) throws IOException {
        var plot = new LossPlot(results, course.batches().perEpoch());
        plot.write(PLOT);
        out.println("loss plot: " + PLOT.toAbsolutePath()
                + (plot.hasFonts() ? "" : " (no words in it: this machine has no fonts)"));
    }

    private static int judge(List<Trained> results, PrintStream out) {
        var best = results.stream().max(Comparator.comparingDouble(Trained::accuracy)).orElseThrow();
        boolean good = best.accuracy() >= ACCURACY_EXPECTED;
        out.printf(Locale.ROOT, "best test accuracy %.4f (%s), %s the %.2f expected%n",
                best.accuracy(), best.optimizer(), good ? "at least" : "below", ACCURACY_EXPECTED);
        return good ? 0 : 1;
    }
}
