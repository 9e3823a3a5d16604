package dev.stepd.rule;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.Fields;
import dev.stepd.error.Nearest;
import dev.stepd.error.ServiceException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// An optimizer with every hyperparameter resolved, for each group, and the schedules that move them.
public final class Settings {
    /// What the name of a number begins with where its value before schedules is meant.
    static final String UNSCHEDULED = "unscheduled:";

    private final Rule rule;
    private final List<Hyperparameter.Real> reals;
    private final List<String> numberNames;
    private final Map<String, Boolean> flags;
    private final Map<String, String> choices;
    /// The numbers by group, in the order of `reals`; group 0 is the default.
    private final double[][] numbers;
    private final List<Glob> matches;
    private final @Nullable Schedule[] schedules;

    private Settings(Fields optimizer, List<Fields> groups, List<Fields> schedules) {
        rule = Catalogue.find(optimizer.requiredString("name"));
        reals = reals(rule.spec(), optimizer);
        var names = reals.stream().map(Hyperparameter.Real::name).toList();
        numberNames = Stream.concat(names.stream(), names.stream().map(UNSCHEDULED::concat)).toList();
        flags = new LinkedHashMap<>();
        choices = new LinkedHashMap<>();
        numbers = new double[groups.size() + 1][];
        numbers[0] = readOptimizer(optimizer);
        matches = new ArrayList<>();
        for (int i = 0; i < groups.size(); i++) {
            numbers[i + 1] = readGroup(groups.get(i));
        }
        this.schedules = new Schedule[reals.size()];
        schedules.forEach(this::readSchedule);
        rule.check(this);
    }

    /// Reads an optimizer object, the session's groups, and its schedule: an object, or an array of them.
    ///
    /// @throws ServiceException `UNKNOWN_NAME` or `INVALID_VALUE` naming the field, the value and the bound
    public static Settings read(
            Map<String, Object> optimizer, List<Map<String, Object>> groups, @Nullable Object schedule) {
        var groupFields = new ArrayList<Fields>();
        for (var group : groups) {
            groupFields.add(Fields.of("groups[" + groupFields.size() + "]", group));
        }
        List<Fields> scheduleFields = schedule == null
                ? List.of()
                : schedule instanceof List<?> list
                        ? Fields.of("", Map.of("schedule", list)).objects("schedule")
                        : List.of(Fields.of("schedule", schedule));
        return new Settings(Fields.of("optimizer", optimizer), groupFields, scheduleFields);
    }

    /// The numbers of an optimizer, lists taken apart.
    private static List<Hyperparameter.Real> reals(Spec spec, Fields optimizer) {
        return spec.hyperparameters().stream()
                .flatMap(hyperparameter -> switch (hyperparameter) {
                    case Hyperparameter.Real real -> Stream.of(real);
                    case Hyperparameter.Numbers list -> list.elements(list.read(optimizer).orElse(list.initial())).stream();
                    case Hyperparameter.Flag _, Hyperparameter.Choice _ -> Stream.empty();
                })
                .toList();
    }

    private double[] readOptimizer(Fields fields) {
        var betas = betas(fields);
        for (var hyperparameter : rule.spec().hyperparameters()) {
            switch (hyperparameter) {
                case Hyperparameter.Flag flag ->
                    flags.put(flag.name(), fields.bool(flag.name()).orElse(flag.initial()));
                case Hyperparameter.Choice choice -> choices.put(choice.name(), readChoice(fields, choice));
                case Hyperparameter.Real _, Hyperparameter.Numbers _ -> {}
            }
        }
        var initial = reals.stream().mapToDouble(real -> betas.getOrDefault(real.name(), real.initial())).toArray();
        var values = readNumbers(fields, initial);
        fields.finish();
        return values;
    }

    /// The numbers that are given, and the others as they were.
    private double[] readNumbers(Fields fields, double[] otherwise) {
        var values = otherwise.clone();
        for (var hyperparameter : rule.spec().hyperparameters()) {
            switch (hyperparameter) {
                case Hyperparameter.Real real ->
                    values[index(real.name())] = readReal(fields, real, values[index(real.name())]);
                case Hyperparameter.Numbers list -> list.read(fields).ifPresent(given -> place(fields, list.name(), given, values));
                case Hyperparameter.Flag _, Hyperparameter.Choice _ -> {}
            }
        }
        return values;
    }

    private void place(Fields fields, String list, List<Double> given, double[] values) {
        var elements = elements(list);
        if (given.size() != elements.size()) {
            fields.refuse(list, given, "as many numbers as the optimizer has, " + elements.size());
        }
        for (int i = 0; i < elements.size(); i++) {
            values[index(elements.get(i))] = given.get(i);
        }
    }

    /// The names of a list's numbers.
    List<String> elements(String list) {
        return reals.stream().map(Hyperparameter.Real::name).filter(name -> name.startsWith(list + "[")).toList();
    }

    /// `betas: [b1, b2]` stands for `beta1`, `beta2` where the optimizer has them.
    private Map<String, Double> betas(Fields fields) {
        var known = reals.stream().map(Hyperparameter.Real::name).filter(n -> n.matches("beta\\d")).toList();
        if (known.isEmpty() || !fields.has("betas")) {
            return Map.of();
        }
        var values = fields.array("betas");
        if (values.size() != known.size()) {
            fields.refuse("betas", values, "an array of " + known.size() + " numbers");
        }
        var byName = new LinkedHashMap<String, Object>();
        for (int i = 0; i < known.size(); i++) {
            byName.put(known.get(i), values.get(i));
        }
        var read = new LinkedHashMap<String, Double>();
        var betas = Fields.of(fields.path("betas"), byName);
        known.forEach(name -> {
            if (fields.has(name)) {
                fields.refuse(name, "given twice", "either betas or " + name);
            }
            read.put(name, readReal(betas, real(name), Double.NaN));
        });
        return read;
    }

    private String readChoice(Fields fields, Hyperparameter.Choice choice) {
        if (choice.orWhole() && fields.value(choice.name()).orElse(null) instanceof Number number) {
            if (number.doubleValue() == 0 || number.doubleValue() != number.longValue()) {
                fields.refuse(choice.name(), number, "a whole number other than 0, or one of " + choice.values());
            }
            return Long.toString(number.longValue());
        }
        var value = fields.string(choice.name()).orElse(choice.initial());
        if (!choice.values().contains(value)) {
            fields.refuse(choice.name(), "\"" + value + "\"",
                    "one of " + choice.values() + (choice.orWhole() ? " or a whole number other than 0" : ""));
        }
        return value;
    }

    private static double readReal(Fields fields, Hyperparameter.Real real, double initial) {
        if (fields.nulled(real.name())) {
            return real.off().orElseThrow(() -> fields.missing(real.name()));
        }
        var given = fields.number(real.name());
        given.filter(value -> !real.range().contains(value))
                .ifPresent(value -> fields.refuse(real.name(), value, "a number " + real.range()));
        return given.orElse(initial);
    }

    private double[] readGroup(Fields fields) {
        matches.add(Glob.of(fields.requiredString("match")));
        for (var name : rule.spec().shared()) {
            if (fields.has(name)) {
                throw oneForAll(fields, name);
            }
        }
        var values = readNumbers(fields, numbers[0]);
        for (var name : fields.others()) {
            if (flags.containsKey(name) || choices.containsKey(name)) {
                throw oneForAll(fields, name);
            }
        }
        fields.finish();
        return values;
    }

    private static ServiceException oneForAll(Fields fields, String name) {
        return new ServiceException(ErrorCode.INVALID_VALUE, fields.path(name)
                + " is set for a group, expected the same value for the whole session: set it on the optimizer");
    }

    private void readSchedule(Fields fields) {
        var name = fields.string("hyperparameter").orElse("lr");
        int index = index(name);
        if (index < 0) {
            var known = reals.stream().map(Hyperparameter.Real::name).toList();
            throw new ServiceException(ErrorCode.UNKNOWN_NAME,
                    fields.path("hyperparameter") + ": " + rule.spec().name() + " has no number \"" + name + "\""
                            + Nearest.hint(name, known) + "; known are " + known);
        }
        if (schedules[index] != null) {
            fields.refuse("hyperparameter", name, "one schedule for each hyperparameter");
        }
        schedules[index] = Schedule.read(fields, reals.get(index));
    }

    public Rule rule() {
        return rule;
    }

    /// How many groups there are, the default one included.
    public int groupCount() {
        return numbers.length;
    }

    /// The group of a tensor: the first whose glob matches, counted from 1, or 0.
    public int groupOf(String tensor) {
        for (int i = 0; i < matches.size(); i++) {
            if (matches.get(i).matches(tensor)) {
                return i + 1;
            }
        }
        return 0;
    }

    /// The numbers' names, in the order of [#values]: as schedules move them, then as they are set.
    public List<String> numberNames() {
        return numberNames;
    }

    /// Writes the numbers of a group as they are at a step.
    ///
    /// @param step the session's step, from 1
    /// @param into one place for each of [#numberNames]
    public void values(int group, long step, double[] into) {
        for (int i = 0; i < schedules.length; i++) {
            var schedule = schedules[i];
            double set = numbers[group][i];
            into[i] = schedule == null ? set : schedule.value(set, step);
            into[i + schedules.length] = set;
        }
    }

    /// Whether a number can be anything but 0.
    boolean on(String name) {
        int index = index(name);
        return schedules[index] != null || Arrays.stream(numbers).anyMatch(group -> group[index] != 0);
    }

    boolean flag(String name) {
        return flags.getOrDefault(name, false);
    }

    String choice(String name) {
        return choices.get(name);
    }

    /// A refusal of one hyperparameter's value.
    ServiceException invalid(String name, String value, String expected) {
        return new ServiceException(
                ErrorCode.INVALID_VALUE, "optimizer." + name + " is " + value + ", expected " + expected);
    }

    /// Refuses a lower bound above the upper one, in any group.
    void checkOrder(String lower, String upper) {
        for (int group = 0; group < numbers.length; group++) {
            double bound = numbers[group][index(upper)];
            if (numbers[group][index(lower)] > bound) {
                throw invalid(group, lower, "a number of at most " + upper + ", " + bound);
            }
        }
    }

    /// Refuses what lies between 0 and `least`, in any group.
    void checkZeroOrAtLeast(String name, double least) {
        for (int group = 0; group < numbers.length; group++) {
            double value = numbers[group][index(name)];
            if (value > 0 && value < least) {
                throw invalid(group, name, "0 or a number of at least " + least);
            }
        }
    }

    private ServiceException invalid(int group, String name, String expected) {
        var path = group == 0 ? "optimizer" : "groups[" + (group - 1) + "]";
        return new ServiceException(ErrorCode.INVALID_VALUE,
                path + "." + name + " is " + numbers[group][index(name)] + ", expected " + expected);
    }

    /// The optimizer with everything resolved, by the catalogue's names.
    public Map<String, @Nullable Object> resolved() {
        var resolved = new LinkedHashMap<String, @Nullable Object>();
        resolved.put("name", rule.spec().name());
        for (var hyperparameter : rule.spec().hyperparameters()) {
            var name = hyperparameter.name();
            resolved.put(name, switch (hyperparameter) {
                case Hyperparameter.Real _ -> orNull(numbers[0][index(name)]);
                case Hyperparameter.Numbers _ -> elements(name).stream().map(e -> numbers[0][index(e)]).toList();
                case Hyperparameter.Flag _ -> flag(name);
                case Hyperparameter.Choice(_, _, _, var values, _) ->
                    values.contains(choice(name)) ? choice(name) : (Object) Long.valueOf(choice(name));
            });
        }
        return resolved;
    }

    /// A number as JSON has it, which has no infinity.
    private static @Nullable Double orNull(double value) {
        return Double.isInfinite(value) ? null : value;
    }

    private Hyperparameter.Real real(String name) {
        return reals.get(index(name));
    }

    private int index(String name) {
        for (int i = 0; i < reals.size(); i++) {
            if (reals.get(i).name().equals(name)) {
                return i;
            }
        }
        return -1;
    }
}
