package dev.stepd.server;

import dev.stepd.demo.Demo;
import java.io.PrintStream;
import java.util.Arrays;
import java.util.List;

/// The program behind the launcher. Exit codes: 0 done, 1 failed, 2 called or configured wrongly.
public final class Stepd {
    private static final int USAGE = 2;

    private Stepd() {}

    public static void main(String[] args) {
        int code = run(Arrays.asList(args), System.out, System.err);
        if (code != 0) {
            System.exit(code);
        }
    }

    /// Runs a command. `serve` returns when the server is ready, which then keeps the program alive.
    static int run(List<String> args, PrintStream out, PrintStream err) {
        var command = args.isEmpty() ? "help" : args.getFirst();
        var rest = args.isEmpty() ? args : args.subList(1, args.size());
        try {
            switch (command) {
                case "serve" -> Server.start(Arguments.settings(rest)).endOnSignal().announce(out);
                case "explain" -> Explain.run(rest, out);
                case "demo" -> {
                    return demo(rest, out, err);
                }
                case "help", "--help", "-h" -> out.print(Arguments.help());
                default -> throw new UsageException("unknown command " + command + "; see stepd help");
            }
            return 0;
        } catch (UsageException e) {
            err.println("stepd: " + e.getMessage());
            return USAGE;
        }
    }

    private static int demo(List<String> rest, PrintStream out, PrintStream err) {
        if (!rest.isEmpty()) {
            throw new UsageException("demo takes no flags, but got " + rest.getFirst());
        }
        return Demo.run(Stepd.class.getName(), out, err);
    }
}
