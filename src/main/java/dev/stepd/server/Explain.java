package dev.stepd.server;

import dev.stepd.codegen.cpu.KernelCompiler;
import dev.stepd.codegen.cpu.Listing;
import dev.stepd.codegen.cuda.CudaProgram;
import dev.stepd.engine.Recipe;
import dev.stepd.engine.StateFormat;
import dev.stepd.error.ServiceException;
import dev.stepd.expr.Printer;
import dev.stepd.expr.equation.Equations;
import dev.stepd.expr.equation.Layout;
import dev.stepd.expr.rewrite.ChooseByHost;
import dev.stepd.expr.rewrite.Rewrites;
import dev.stepd.rule.Clip;
import dev.stepd.rule.Composition;
import dev.stepd.rule.Settings;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// `stepd explain OPTIMIZER [name=value ...] [--format FORMAT] [--interpreted | --cpu | --cuda]`: what becomes of a rule on its way
/// to a kernel.
/// `stepd explain --page`: the page of all optimizers.
///
/// Without a flag everything is shown but the text for GPUs; `--interpreted` ends at the program the interpreter runs, `--cpu` and
/// `--cuda` show the generated code alone. `--format int8` keeps the slots in that format.
final class Explain {
    private final Recipe recipe;
    private final PrintStream out;

    private Explain(Recipe recipe, PrintStream out) {
        this.recipe = recipe;
        this.out = out;
    }

    /// @throws UsageException when the optimizer or a setting of it is not one
    static void run(List<String> arguments, PrintStream out) {
        if (arguments.equals(List.of("--page"))) {
            out.print(CataloguePage.markdown());
            return;
        }
        var words = new ArrayList<>(arguments);
        var format = format(words);
        var flags = words.stream().filter(a -> a.startsWith("--")).toList();
        words.removeAll(flags);
        var unknown = flags.stream().filter(f -> !List.of("--interpreted", "--cpu", "--cuda").contains(f)).findFirst();
        if (words.isEmpty() || unknown.isPresent() || flags.size() > 1) {
            throw new UsageException("explain takes an optimizer, settings as name=value, --format FORMAT, and --interpreted, --cpu or"
                    + " --cuda; or --page alone");
        }
        try {
            var composition = Composition.of(optimizer(words)).expanded();
            var state = format == null ? composition.state() : Map.<String, @Nullable Object>of("format", format);
            var settings = Settings.read(composition, List.of(), null);
            for (var recipe : Recipe.each(settings, Clip.read(composition.clip()), StateFormat.read(state))) {
                new Explain(recipe, out).print(flags);
            }
        } catch (ServiceException e) {
            throw new UsageException(e.getMessage());
        }
    }

    /// Takes `--format int8` out of the arguments.
    private static @Nullable String format(List<String> arguments) {
        int at = arguments.indexOf("--format");
        if (at < 0) {
            return null;
        }
        if (at + 1 == arguments.size()) {
            throw new UsageException("explain: --format needs a name, such as int8");
        }
        arguments.remove(at);
        return arguments.remove(at);
    }

    private static Map<String, Object> optimizer(List<String> words) {
        var optimizer = new LinkedHashMap<String, Object>();
        optimizer.put("name", words.getFirst());
        for (var word : words.subList(1, words.size())) {
            int equals = word.indexOf('=');
            if (equals < 1) {
                throw new UsageException("explain: " + word + " is not name=value");
            }
            optimizer.put(word.substring(0, equals), value(word.substring(equals + 1)));
        }
        return optimizer;
    }

    private static Object value(String text) {
        if (text.equals("true") || text.equals("false")) {
            return Boolean.valueOf(text);
        }
        try {
            return Double.valueOf(text);
        } catch (NumberFormatException e) {
            return text;
        }
    }

    private void print(List<String> flags) {
        var conditions = recipe.conditions();
        boolean generated = flags.contains("--cpu") || flags.contains("--cuda");
        if (!generated) {
            section("equations" + of(), Layout.of(Equations.of(recipe.step(false))));
            section("program, as the rule states it" + of(), recipe.step(true).toString());
        }
        for (long outcome = 0; outcome < 1L << conditions.size(); outcome++) {
            var when = when(outcome);
            if (!generated) {
                var decided = ChooseByHost.decided(recipe.step(true), outcome);
                section("rewritten" + when, Rewrites.expand(decided).toString());
            }
            var plan = recipe.plan(true, outcome);
            if (flags.isEmpty()) {
                section("host values and stages" + when, plan.toString());
            }
            if (flags.contains("--cuda")) {
                section("on a gpu" + when, CudaProgram.of(plan).text());
            } else if (!flags.contains("--interpreted")) {
                for (int i = 0; i < plan.stages().size(); i++) {
                    var kernel = new KernelCompiler().bytes(plan.stages().get(i));
                    section("stage " + i + " on the cpu" + when + ", " + kernel.length + " bytes of class file",
                            Listing.of(kernel));
                }
            }
        }
    }

    /// Which tensors and which of the host's choices a program is for.
    private String when(long outcome) {
        var text = new StringBuilder(of());
        for (int i = 0; i < recipe.conditions().size(); i++) {
            boolean holds = (outcome >>> i & 1) != 0;
            text.append(i == 0 ? " when " : " and ")
                    .append(holds ? "" : "not ")
                    .append(Printer.print(recipe.conditions().get(i)));
        }
        return text.toString();
    }

    private String of() {
        return recipe.kind().view().isEmpty() ? "" : " of a " + recipe.kind().view();
    }

    private void section(String title, String text) {
        out.println("== " + title);
        out.println(text.stripTrailing());
        out.println();
    }
}
