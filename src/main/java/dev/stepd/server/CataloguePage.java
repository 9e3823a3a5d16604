package dev.stepd.server;

import dev.stepd.expr.equation.Equation;
import dev.stepd.expr.equation.Layout;
import dev.stepd.rule.Entry;
import dev.stepd.rule.Hyperparameter;
import dev.stepd.rule.Spec;
import java.math.BigDecimal;
import java.math.MathContext;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/// Writes the catalogue as the page people read: `src/site/markdown/optimizers.md`.
final class CataloguePage {
    private static final String INTRODUCTION = """
            # Optimizers

            What `POST /v1/sessions` takes as `optimizer.name`. This page is written from the rules themselves, the equations
            from the program that a step runs: `./stepd explain --page > src/site/markdown/optimizers.md` writes it anew, and a
            test holds it to the rules. `GET /v1/optimizers` answers the same as JSON.

            Everything is told of the default configuration. `./stepd explain sgd momentum=0.9 nesterov=true` prints the
            equations of another one, and all that becomes of them on the way to a kernel. Wrappers (`wrap`) and averages
            (`average`) go around any optimizer; here they are told around plain SGD, and come last.

            How to read the equations:

            * `g` is the gradient, `p` the parameter, `t` the number of the step, from 1. The parameter moves by `delta`, which
              is what a client is sent.
            * `exp_avg` is a slot before the step, `exp_avg'` after it. Single letters are values of this step alone. All other
              names are hyperparameters; `delta_` is one that is called delta.
            * `sum_tensor(x)` is the sum over the elements of each tensor, `sum_session(x)` over all tensors, `sum_row(x)` and
              `sum_column(x)` over those of a matrix whose rows are the tensor's first dimension; likewise `mean`, `max`,
              `count` and `norm`, which is Euclidean. `ranked_tensor(x, k)` is the `k`-th largest, `sum_over_tensors_so_far(x)`
              that of a tensor and all before it, `normal(0, s)` a random draw.
            * `clip(x, a, b)` is `min(max(x, a), b)`, `sign(0)` is 0, `a mod b` what is left of a division.
            * `unscheduled(lr)` is the number as it was set, before a schedule moves it; `given(x)` is 1 where the step brings
              the input `x`.
            * The order of rounding is left out; the program that `./stepd explain` prints next has it.

            The columns `f32` to `int4` are bytes of state for each parameter in that format, scales of blocks included. Slots with
            one value for a tensor, a row or the session take little room and keep their own type in every format; they
            count as 0.
            """;
    /// Digits of bytes, which scales of blocks make long.
    private static final MathContext DIGITS = new MathContext(3);

    private final StringBuilder page = new StringBuilder(INTRODUCTION);

    private CataloguePage() {}

    static String markdown() {
        return write(Entry.all());
    }

    private static String write(List<Entry> entries) {
        var page = new CataloguePage();
        var sorted = entries.stream()
                .sorted(Comparator.comparing(CataloguePage::isAround).thenComparing(entry -> entry.spec().name()))
                .toList();
        page.index(sorted);
        sorted.forEach(page::section);
        page.meanings();
        return page.page.toString();
    }

    private static boolean isAround(Entry entry) {
        return entry.kind() == Entry.Kind.WRAPPER || entry.kind() == Entry.Kind.AVERAGE;
    }

    private void index(List<Entry> entries) {
        line("");
        var columns = new ArrayList<>(List.of("name", "what it is"));
        FormatSize.ALL.forEach(format -> columns.add(format.name()));
        columns.add("needs besides gradients");
        header(columns);
        for (var entry : entries) {
            var heading = heading(entry);
            var cells = new ArrayList<>(List.of(
                    "[%s](#%s)".formatted(heading, heading.replace(' ', '-')), entry.spec().title()));
            FormatSize.ALL.forEach(format -> cells.add(bytes(entry, format)));
            cells.add(String.join(", ", needs(entry)));
            row(cells);
        }
    }

    /// What a fork under another optimizer carries.
    private void meanings() {
        line("");
        page.append(MeaningsOfSlots.INTRODUCTION);
        line("");
        header(List.of("what it is", "slots"));
        MeaningsOfSlots.all().forEach((meaning, slots) -> row(List.of(meaning.text(), joined(slots, CataloguePage::code))));
    }

    private static String heading(Entry entry) {
        var kind = entry.kind().name().toLowerCase(Locale.ROOT) + " ";
        return (isAround(entry) ? kind : "") + entry.spec().name();
    }

    /// `4 (matrix), 8 (vector)` where kinds of tensors differ.
    private static String bytes(Entry entry, FormatSize format) {
        if (!format.fits(entry)) {
            return "";
        }
        var first = entry.steps().getFirst();
        boolean alike = entry.steps().stream()
                .allMatch(step -> format.bytesPerParameter(step) == format.bytesPerParameter(first));
        return alike ? size(format.bytesPerParameter(first)) : joined(entry.steps(), step ->
                size(format.bytesPerParameter(step)) + " (" + step.tensors() + ")");
    }

    private static List<String> needs(Entry entry) {
        var needs = new ArrayList<String>();
        if (entry.needsParameters()) {
            needs.add("parameters");
        }
        entry.spec().inputs().forEach(input -> needs.add(code(input.key("<tensor>"))));
        return needs;
    }

    private void section(Entry entry) {
        var spec = entry.spec();
        line("");
        line("## " + heading(entry));
        line("");
        line("%s. %s. Follows %s.".formatted(spec.title(), linkedPaper(spec.paper()), linkedSource(spec.reference())));
        composition(entry);
        entry.steps().forEach(step -> equations(step));
        if (!entry.variations().isEmpty()) {
            line("");
            line("Other equations with " + joined(entry.variations(), CataloguePage::setting) + ".");
        }
        inputs(entry);
        slots(entry);
        hyperparameters(spec);
    }

    private void composition(Entry entry) {
        var composition = entry.composition();
        if (entry.kind() == Entry.Kind.PRESET) {
            var parts = new ArrayList<String>();
            parts.add("optimizer " + shown(composition.optimizer()));
            composition.wrap().forEach(wrapper -> parts.add("wrapper " + shown(wrapper)));
            if (composition.average() != null) {
                parts.add("average " + shown(composition.average()));
            }
            if (composition.clip() != null) {
                parts.add("clip " + shown(composition.clip()));
            }
            if (composition.state() != null) {
                parts.add("state " + shown(composition.state()));
            }
            line("");
            line("Stands for " + String.join("; ", parts) + ".");
        }
        if (isAround(entry)) {
            line("");
            line("Around plain SGD:");
        }
    }

    /// `adamw with beta1 = 0, lr = 0.0025`, always in the same order.
    private static String shown(Map<String, ?> settings) {
        var others = new TreeMap<String, Object>(settings);
        var name = others.remove("name");
        var set = others.entrySet().stream().map(e -> code(e.getKey() + " = " + shown(e.getValue()))).toList();
        var with = set.isEmpty() ? "" : "with " + String.join(", ", set);
        return name == null ? with : (code(name.toString()) + " " + with).strip();
    }

    private static String shown(@Nullable Object value) {
        return value instanceof Number number ? number(number.doubleValue()) : String.valueOf(value);
    }

    private void equations(Entry.Step step) {
        line("");
        if (!step.tensors().isEmpty()) {
            line("Each " + step.tensors() + ":");
            line("");
        }
        block(step.equations());
        for (var average : step.averages()) {
            line("");
            line("The average that can be read, of what the step has left: " + code(average.value()) + ".");
        }
    }

    private void block(List<Equation> equations) {
        line("```");
        page.append(Layout.of(equations));
        line("```");
    }

    private void inputs(Entry entry) {
        line("");
        line(entry.needsParameters() ? "Needs gradients and parameters." : "Needs gradients only.");
        for (var input : entry.spec().inputs()) {
            line("");
            line("Takes %s (%s): %s.".formatted(code(input.key("<tensor>")),
                    input.required() ? "every step" : "some steps", input.meaning()));
        }
    }

    private void slots(Entry entry) {
        line("");
        if (entry.slots().isEmpty()) {
            line("Keeps no state.");
            return;
        }
        var columns = new ArrayList<>(List.of("slot", "one value for each", "sign", "starts at"));
        FormatSize.ALL.forEach(format -> columns.add(format.name()));
        header(columns);
        for (var slot : entry.slots()) {
            var cells = new ArrayList<>(List.of(code(slot.name()) + keeping(entry, slot),
                    slot.scope().toString(), slot.sign().name().toLowerCase(Locale.ROOT), initial(slot)));
            FormatSize.ALL.forEach(format -> cells.add(format.fits(entry) ? size(format.bytesPerParameter(slot)) : ""));
            row(cells);
        }
        if (entry.slots().size() > 1) {
            var cells = new ArrayList<>(List.of("all by default", "", "", ""));
            FormatSize.ALL.forEach(format -> cells.add(bytes(entry, format)));
            row(cells);
        }
        fineSlots(entry);
    }

    /// Why some slots take more than the format does.
    private void fineSlots(Entry entry) {
        for (var slot : entry.slots()) {
            if (slot.fine() != null) {
                line("");
                line("%s is not kept in codes with a scale, and takes another format in `state.slots`, counted as f32: %s."
                        .formatted(code(slot.name()), slot.fine()));
            }
        }
    }

    /// Where a slot is kept, if not everywhere.
    private static String keeping(Entry entry, Spec.SlotSpec slot) {
        var keepers = entry.steps().stream().filter(step -> step.slots().contains(slot)).map(Entry.Step::tensors).toList();
        return keepers.isEmpty() ? " (other settings)"
                : keepers.size() < entry.steps().size() ? " (" + String.join(", ", keepers) + ")" : "";
    }

    private static String initial(Spec.SlotSpec slot) {
        return slot.startsAtParameter() ? "the parameter" : code(Entry.start(slot));
    }

    private void hyperparameters(Spec spec) {
        line("");
        header(List.of("hyperparameter", "default", "values", "meaning"));
        for (var hyperparameter : spec.hyperparameters()) {
            var name = code(hyperparameter.name());
            row(switch (hyperparameter) {
                case Hyperparameter.Real real -> List.of(name, number(real.initial()), range(real), real.meaning());
                case Hyperparameter.Numbers list -> List.of(name, joined(list.initial(), CataloguePage::number),
                        "1 to %d numbers, each %s".formatted(list.maxLength(), list.range()), list.meaning());
                case Hyperparameter.Count count -> List.of(name, String.valueOf(count.initial()),
                        "whole, from %d to %d".formatted(count.min(), count.max()), count.meaning());
                case Hyperparameter.Flag flag ->
                    List.of(name, String.valueOf(flag.initial()), "true, false", flag.meaning());
                case Hyperparameter.Choice choice -> List.of(name, choice.initial(), String.join(", ", choice.values())
                        + (choice.orWhole() ? ", or a whole number other than 0" : ""), choice.meaning());
            });
        }
    }

    private static String range(Hyperparameter.Real real) {
        var off = real.off();
        var orNull = off.isEmpty() ? "" : off.getAsDouble() == 0 ? ", null for 0" : ", null for no bound";
        return real.range() + orNull;
    }

    private static String linkedPaper(String paper) {
        return paper.replaceAll("arXiv:(\\d{4}\\.\\d{4,5})", "[arXiv:$1](https://arxiv.org/abs/$1)");
    }

    private static String linkedSource(String reference) {
        return reference.replaceAll("([\\w.-]+/[\\w.-]+)@([0-9a-f]{7,40})", "[$1@$2](https://github.com/$1/tree/$2)");
    }

    private static <T> String joined(List<T> values, Function<T, String> change) {
        return values.stream().map(change).collect(Collectors.joining(", "));
    }

    /// `nesterov = true (with momentum other than 0)` as code and words.
    private static String setting(String text) {
        int with = text.indexOf(" (with ");
        return with < 0 ? code(text)
                : code(text.substring(0, with)) + " (with " + code(text.substring(with + 7, text.length() - 1)) + ")";
    }

    private static String code(String text) {
        return "`" + text + "`";
    }

    /// As short as it can be said: `4`, `1e-8`, `0.0001`.
    private static String number(double value) {
        var digits = BigDecimal.valueOf(value).stripTrailingZeros();
        boolean plain = value == 0 || Math.abs(value) >= 1e-4 && Math.abs(value) < 1e7;
        return plain ? digits.toPlainString() : digits.unscaledValue() + "e" + -digits.scale();
    }

    private static String size(double bytes) {
        return BigDecimal.valueOf(bytes).round(DIGITS).stripTrailingZeros().toPlainString();
    }

    private void header(List<String> cells) {
        row(cells);
        line("|" + "---|".repeat(cells.size()));
    }

    private void row(List<String> cells) {
        line("| " + String.join(" | ", cells.stream().map(cell -> cell.replace("|", "\\|")).toList()) + " |");
    }

    private void line(String text) {
        page.append(text).append('\n');
    }
}
