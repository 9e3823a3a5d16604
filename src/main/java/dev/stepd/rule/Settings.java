package dev.stepd.rule;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.Fields;
import dev.stepd.error.Nearest;
import dev.stepd.error.ServiceException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// An optimizer and what is around it with every hyperparameter resolved, for each group, and the schedules that move them.
public final class Settings {
    /// What the name of a number begins with where its value before schedules is meant.
    static final String UNSCHEDULED = "unscheduled:";

    /// A wrapper or average with its hyperparameters.
    record Around(Wrapper wrapper, Part part) {}

    private final Rule rule;
    private final Part optimizer;
    /// From the inside out.
    private final List<Around> around;
    private final boolean averages;
    private final List<Hyperparameter.Real> reals;
    private final List<String> numberNames;
    private final Map<String, Object> forms = new LinkedHashMap<>();
    /// The numbers by group, in the order of `reals`; group 0 is the default.
    private final double[][] numbers;
    private final List<Glob> matches = new ArrayList<>();
    private final @Nullable Schedule[] schedules;

    private Settings(Composition composition, List<Fields> groups, List<Fields> schedules) {
        var fields = Fields.of("optimizer", composition.optimizer());
        rule = Catalogue.find(fields.requiredString("name"));
        optimizer = new Part(fields, "", rule.spec());
        around = around(composition);
        averages = composition.average() != null;
        reals = parts().flatMap(part -> part.reals().stream()).toList();
        parts().forEach(part -> forms.putAll(part.forms()));
        var names = reals.stream().map(Hyperparameter.Real::name).toList();
        numberNames = Stream.concat(names.stream(), names.stream().map(UNSCHEDULED::concat)).toList();
        numbers = new double[groups.size() + 1][];
        numbers[0] = parts().flatMapToDouble(part -> Arrays.stream(part.numbers())).toArray();
        for (int i = 0; i < groups.size(); i++) {
            numbers[i + 1] = readGroup(groups.get(i));
        }
        this.schedules = new Schedule[reals.size()];
        schedules.forEach(this::readSchedule);
        rule.check(this);
        around.forEach(a -> a.wrapper.check(this, a.part));
        checkSlots();
    }

    /// Reads an optimizer object without anything around it, the session's groups, and its schedule: an object, or an array
    /// of them.
    ///
    /// @throws ServiceException `UNKNOWN_NAME` or `INVALID_VALUE` naming the field, the value and the bound
    public static Settings read(
            Map<String, Object> optimizer, List<Map<String, Object>> groups, @Nullable Object schedule) {
        return read(Composition.of(optimizer), groups, schedule);
    }

    /// Reads what a session's optimizer is composed of, its groups, and its schedule: an object, or an array of them.
    ///
    /// @throws ServiceException `UNKNOWN_NAME` or `INVALID_VALUE` naming the field, the value and the bound
    public static Settings read(
            Composition composition, List<Map<String, Object>> groups, @Nullable Object schedule) {
        var groupFields = new ArrayList<Fields>();
        for (var group : groups) {
            groupFields.add(Fields.of("groups[" + groupFields.size() + "]", group));
        }
        List<Fields> scheduleFields = schedule == null
                ? List.of()
                : schedule instanceof List<?> list
                        ? Fields.of("", Map.of("schedule", list)).objects("schedule")
                        : List.of(Fields.of("schedule", schedule));
        return new Settings(composition.expanded(), groupFields, scheduleFields);
    }

    private static List<Around> around(Composition composition) {
        var around = new ArrayList<Around>();
        for (var object : composition.wrap()) {
            var fields = Fields.of("wrap[" + around.size() + "]", object);
            var name = fields.requiredString("name");
            var wrapper = Catalogue.findWrapper(fields.path("name"), name);
            if (around.stream().anyMatch(a -> a.part.spec().name().equals(name))) {
                fields.refuse("name", name, "a wrapper that is not there already");
            }
            around.add(new Around(wrapper, part(fields, wrapper)));
        }
        if (composition.average() != null) {
            var fields = Fields.of("average", composition.average());
            var average = Catalogue.findAverage(fields.path("name"), fields.requiredString("name"));
            around.add(new Around(average, part(fields, average)));
        }
        return List.copyOf(around);
    }

    private static Part part(Fields fields, Wrapper wrapper) {
        return new Part(fields, wrapper.spec().name() + ".", wrapper.spec());
    }

    private Stream<Part> parts() {
        return Stream.concat(Stream.of(optimizer), around.stream().map(Around::part));
    }

    private double[] readGroup(Fields fields) {
        matches.add(Glob.of(fields.requiredString("match")));
        optimizer.spec().shared().forEach(name -> refuseShared(fields, optimizer, name));
        around.forEach(a -> a.part.reals().forEach(real -> refuseShared(fields, a.part, real.name())));
        var values = numbers[0].clone();
        var mine = optimizer.numbers(fields, optimizer.numbers());
        System.arraycopy(mine, 0, values, 0, mine.length);
        parts().forEach(part -> part.forms().keySet().stream()
                .filter(fields.others()::contains)
                .forEach(name -> refuseShared(fields, part, name)));
        fields.finish();
        return values;
    }

    private static void refuseShared(Fields fields, Part part, String name) {
        if (fields.has(name)) {
            throw new ServiceException(ErrorCode.INVALID_VALUE, fields.path(name)
                    + " is set for a group, expected the same value for the whole session: set it on "
                    + (part.isOptimizer() ? "the optimizer" : part.path()));
        }
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

    /// State is exported by name, so a name has one owner.
    private void checkSlots() {
        var owners = new HashMap<String, Part>();
        parts().forEach(part -> slotNames(part).forEach(slot -> {
            var other = owners.put(slot, part);
            if (other != null) {
                throw part.invalid("name", part.spec().name(), "one that keeps no slot " + slot + ": " + other.path()
                        + " keeps one, " + other.spec().name());
            }
        }));
    }

    public Rule rule() {
        return rule;
    }

    Part optimizer() {
        return optimizer;
    }

    /// Wrappers and then the average, from the inside out.
    List<Around> around() {
        return around;
    }

    /// Every slot that tensors of a kind may use: the optimizer's, then those around it.
    public List<Spec.SlotSpec> slots(String kind) {
        return parts().flatMap(part -> slots(part, kind).stream()).toList();
    }

    /// The slots of one part.
    List<Spec.SlotSpec> slots(Part part, String kind) {
        return around.stream()
                .filter(a -> a.part == part)
                .findFirst()
                .map(a -> a.wrapper.slots(this))
                .orElseGet(() -> rule.slots(this, kind));
    }

    /// The names of a part's slots, whatever the tensor.
    Set<String> slotNames(Part part) {
        return rule.kinds().stream()
                .flatMap(kind -> slots(part, kind).stream())
                .map(Spec.SlotSpec::name)
                .collect(Collectors.toCollection(LinkedHashSet::new));
    }

    /// What keeps a slot: the name of the optimizer, a wrapper or the average.
    ///
    /// @throws java.util.NoSuchElementException when nothing does
    public String keeperOf(String slot) {
        return parts().filter(part -> slotNames(part).contains(slot)).findFirst().orElseThrow().spec().name();
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
        return forms.get(name) instanceof Boolean flag && flag;
    }

    String choice(String name) {
        return forms.get(name).toString();
    }

    int count(String name) {
        return (Integer) forms.get(name);
    }

    /// The names of a list's numbers.
    List<String> elements(String list) {
        return optimizer.elements(list);
    }

    /// A refusal of one of the optimizer's hyperparameters.
    ServiceException invalid(String name, String value, String expected) {
        return optimizer.invalid(name, value, expected);
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

    /// Refuses 0, in any group.
    void checkPositive(String name) {
        for (int group = 0; group < numbers.length; group++) {
            if (numbers[group][index(name)] == 0) {
                throw invalid(group, name, "a number above 0");
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
        return optimizer.resolved();
    }

    /// The wrappers with everything resolved, from the inside out.
    public List<Map<String, @Nullable Object>> resolvedWrap() {
        return around.subList(0, around.size() - (averages ? 1 : 0)).stream().map(a -> a.part.resolved()).toList();
    }

    /// The average with everything resolved, or null where none is kept.
    public @Nullable Map<String, @Nullable Object> resolvedAverage() {
        return averages ? around.getLast().part.resolved() : null;
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
