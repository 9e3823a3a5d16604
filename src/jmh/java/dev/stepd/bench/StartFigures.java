package dev.stepd.bench;

import dev.stepd.server.ServerProcess;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;

/// How long a server takes to be there, and what it holds when it has nothing to do.
final class StartFigures {
    private static final int STARTS = 5;
    private static final double SECONDS_MAX = 3;
    private static final double HEAP_MEGABYTES_MAX = 100;
    private static final Pattern USED = Pattern.compile("total \\d+K, used (\\d+)K");

    private StartFigures() {}

    static List<Figure> measure() {
        var seconds = new double[STARTS];
        double megabytes = 0;
        try {
            for (int i = 0; i < STARTS; i++) {
                try (var server = ServerProcess.stepd()) {
                    seconds[i] = server.readyNanos() / 1e9;
                    megabytes = idleHeapMegabytes(server.pid());
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return List.of(
                Figure.atMost("./stepd serve until it is ready", Runs.median(seconds), SECONDS_MAX, "s"),
                Figure.atMost("heap in use when idle", megabytes, HEAP_MEGABYTES_MAX, "MB"));
    }

    private static double idleHeapMegabytes(long pid) throws IOException {
        jcmd(pid, "GC.run");
        var used = USED.matcher(jcmd(pid, "GC.heap_info"));
        long kilobytes = 0;
        while (used.find()) {
            kilobytes += Long.parseLong(used.group(1));
        }
        if (kilobytes == 0) {
            throw new IllegalStateException("jcmd told no heap");
        }
        return kilobytes / 1024.0;
    }

    private static String jcmd(long pid, String command) throws IOException {
        var jcmd = Path.of(System.getProperty("java.home"), "bin", "jcmd").toString();
        var process = new ProcessBuilder(jcmd, Long.toString(pid), command).redirectErrorStream(true).start();
        var output = new String(process.getInputStream().readAllBytes());
        try {
            process.waitFor(1, TimeUnit.MINUTES);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
        return output;
    }
}
