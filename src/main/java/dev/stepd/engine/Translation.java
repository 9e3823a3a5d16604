package dev.stepd.engine;

import dev.stepd.device.Array;
import dev.stepd.expr.Scope;
import dev.stepd.expr.codec.Masters;
import dev.stepd.rule.Meaning;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/// What becomes of each slot when the state of one optimizer goes on under another.
///
/// A slot takes the values of the slot of its name that the same optimizer, wrapper or average keeps, or else of one that means the
/// same ([Meaning]); in any case one of the same scope and shape. Whatever else it keeps starts anew. Where a program counts its steps,
/// a slot that starts anew would be taken for older than it is, and its bias corrected too little: unless it may start at any
/// step, that tensor's state starts anew as a whole and its steps are counted from 0 again. The session's step, which schedules
/// follow, goes on in any case.
public final class Translation {
    /// One slot, as clients are told.
    ///
    /// @param slot its name; of the new optimizer, unless it was dropped
    /// @param reason in a few words
    /// @param tensors how many tensors this is so of
    public record Line(String slot, String reason, int tensors) {}

    /// What happens to a tensor.
    ///
    /// @param carried whose values a slot takes
    /// @param restart why its steps are counted from 0, if they are
    private record Passage(Map<Stored, Stored> carried, Optional<String> restart) {}

    private final Optimizer from;
    private final Optimizer to;
    /// By declared index.
    private final List<Passage> passages = new ArrayList<>();
    private final Map<Line, Integer> carried = new LinkedHashMap<>();
    private final Map<Line, Integer> fresh = new LinkedHashMap<>();
    private final Map<Line, Integer> dropped = new LinkedHashMap<>();
    private final Map<Kind, Recipe> sources = new HashMap<>();
    private final Map<Kind, Recipe> targets = new HashMap<>();
    private final Map<Recipe, Map<String, Meaning>> meanings = new HashMap<>();

    /// @param from, to of the same tensors
    Translation(Optimizer from, Optimizer to) {
        this.from = from;
        this.to = to;
        from.recipes().forEach(recipe -> sources.put(recipe.kind(), recipe));
        to.recipes().forEach(recipe -> targets.put(recipe.kind(), recipe));
        for (var recipes : List.of(from.recipes(), to.recipes())) {
            recipes.forEach(recipe -> meanings.put(recipe, Meaning.of(recipe.settings(), recipe.kind().view())));
        }
        var before = byIndex(from.layout());
        var after = byIndex(to.layout());
        for (int i = 0; i < before.size(); i++) {
            passages.add(passage(before.get(i), after.get(i)));
        }
    }

    private static List<Layout.Place> byIndex(Layout layout) {
        var places = new Layout.Place[layout.places().size()];
        layout.places().forEach(place -> places[place.index()] = place);
        return List.of(places);
    }

    private Passage passage(Layout.Place before, Layout.Place after) {
        var source = sources.get(before.kind());
        var target = targets.get(after.kind());
        var pairs = new LinkedHashMap<Stored, Stored>();
        for (var slot : target.stored()) {
            sameOf(slot, source, target)
                    .filter(other -> fits(other, before, slot, after) && !pairs.containsValue(other))
                    .ifPresent(other -> pairs.put(slot, other));
        }
        for (var slot : target.stored()) {
            if (!pairs.containsKey(slot)) {
                alikeOf(slot, source, target)
                        .filter(other -> fits(other, before, slot, after) && !pairs.containsValue(other))
                        .ifPresent(other -> pairs.put(slot, other));
            }
        }
        var restart = restart(target, pairs);
        if (restart.isPresent()) {
            pairs.keySet().removeIf(slot -> !isMaster(slot));
        }
        tell(source, target, pairs, restart);
        return new Passage(pairs, restart);
    }

    /// The slot of the same name that the same part keeps.
    private static Optional<Stored> sameOf(Stored slot, Recipe source, Recipe target) {
        return source.stored().stream()
                .filter(other -> other.spec().name().equals(slot.spec().name()))
                .filter(other -> isMaster(slot) || keeper(other, source).equals(keeper(slot, target)))
                .findFirst();
    }

    /// The slot of another rule that means the same.
    private Optional<Stored> alikeOf(Stored slot, Recipe source, Recipe target) {
        var meaning = meaning(slot, target);
        if (meaning == null || keeper(slot, target).equals(source.settings().rule().spec().name())) {
            return Optional.empty();
        }
        return source.stored().stream().filter(other -> meaning == meaning(other, source)).findFirst();
    }

    private @Nullable Meaning meaning(Stored slot, Recipe recipe) {
        return meanings.get(recipe).get(slot.spec().name());
    }

    private static String keeper(Stored slot, Recipe recipe) {
        return isMaster(slot) ? "" : recipe.settings().keeperOf(slot.spec().name());
    }

    private static boolean isMaster(Stored slot) {
        return slot.spec().name().equals(Masters.MASTER.name());
    }

    private static boolean fits(Stored source, Layout.Place before, Stored target, Layout.Place after) {
        var scope = source.spec().scope();
        boolean cut = scope.kind() == Scope.Kind.ROW || scope.kind() == Scope.Kind.COLUMN;
        boolean alike = before.view().rows() == after.view().rows() && before.view().slabs() == after.view().slabs();
        return scope.equals(target.spec().scope())
                && source.spec().storage() == target.spec().storage()
                && (!cut || alike);
    }

    /// Why the state has to start anew as a whole, if it has to.
    private static Optional<String> restart(Recipe target, Map<Stored, Stored> pairs) {
        if (!target.countsSteps()) {
            return Optional.empty();
        }
        return target.stored().stream()
                .filter(slot -> !pairs.containsKey(slot) && !slot.spec().ageless() && !isMaster(slot))
                .findFirst()
                .map(slot -> slot.spec().name() + " starts anew, and the step makes up for its start by the count of steps");
    }

    private void tell(Recipe source, Recipe target, Map<Stored, Stored> pairs, Optional<String> restart) {
        for (var slot : target.stored()) {
            var name = slot.spec().name();
            var other = pairs.get(slot);
            if (other != null) {
                count(carried, name, carriedAs(slot, other, target, source));
            } else {
                count(fresh, name, restart.orElse("there is nothing that means the same"));
            }
        }
        for (var slot : source.stored()) {
            if (!pairs.containsValue(slot)) {
                count(dropped, slot.spec().name(), restart.isPresent()
                        ? "the state starts anew"
                        : target.settings().rule().spec().name() + " keeps nothing that means the same");
            }
        }
    }

    private String carriedAs(Stored slot, Stored other, Recipe target, Recipe source) {
        var reason = isMaster(slot) ? "parameters in f32"
                : keeper(slot, target).equals(keeper(other, source)) ? "the same slot of " + keeper(slot, target)
                : meaning(slot, target).text();
        var name = slot.spec().name().equals(other.spec().name()) ? "" : ", from " + other.spec().name();
        var format = slot.codec().equals(other.codec()) ? ""
                : ", " + other.codec().name() + " to " + slot.codec().name();
        return reason + name + format;
    }

    private static void count(Map<Line, Integer> lines, String slot, String reason) {
        lines.merge(new Line(slot, reason, 0), 1, Integer::sum);
    }

    /// Slots that go on with values of before.
    public List<Line> carried() {
        return counted(carried);
    }

    /// Slots that start as the optimizer starts them.
    public List<Line> fresh() {
        return counted(fresh);
    }

    /// Slots of before that nothing goes on with.
    public List<Line> dropped() {
        return counted(dropped);
    }

    private static List<Line> counted(Map<Line, Integer> lines) {
        return lines.entrySet().stream()
                .map(line -> new Line(line.getKey().slot(), line.getKey().reason(), line.getValue()))
                .toList();
    }

    /// Why tensors count their steps from 0 again; empty when none does.
    public Set<String> restarts() {
        var reasons = new LinkedHashSet<String>();
        passages.forEach(passage -> passage.restart().ifPresent(reasons::add));
        return reasons;
    }

    /// Whether every tensor starts anew.
    public boolean restartsAll() {
        return passages.stream().allMatch(passage -> passage.restart().isPresent());
    }

    /// Whether slots start at the values parameters have where this is applied.
    public boolean startsAtParameters() {
        return to.layout().places().stream().anyMatch(place -> {
            var pairs = passages.get(place.index()).carried();
            return targets.get(place.kind()).stored().stream()
                    .anyMatch(slot -> slot.spec().startsAtParameter() && !pairs.containsKey(slot));
        });
    }

    /// Whether the state stays as it is, bit for bit and under the same names.
    public boolean isIdentity() {
        var before = byIndex(from.layout());
        var after = byIndex(to.layout());
        for (int i = 0; i < before.size(); i++) {
            var slots = targets.get(after.get(i).kind()).stored();
            var pairs = passages.get(i).carried();
            if (!slots.equals(sources.get(before.get(i).kind()).stored())
                    || !slots.stream().allMatch(slot -> slot.equals(pairs.get(slot)))) {
                return false;
            }
        }
        return true;
    }

    /// Gives one stepper the state of another, which stays as it is.
    ///
    /// @param source made of the one optimizer
    /// @param target made of the other, and new
    void apply(Stepper source, Stepper target) {
        if (source.hasParameters()) {
            copy(source.parameters(), target.parameters(), name -> name);
            target.parametersLoaded(); // before the slots: some start there
        }
        var names = new HashMap<String, String>();
        var recoded = new HashMap<String, String>();
        for (var place : to.layout().places()) {
            var tensor = place.tensor().name();
            passages.get(place.index()).carried().forEach((slot, other) -> {
                var owner = slot.spec().scope().equals(Scope.SESSION) ? "" : tensor;
                if (slot.codec().equals(other.codec())) {
                    for (int i = 0; i < slot.arrays().size(); i++) {
                        names.put(key(owner, slot.arrays().get(i).name()), key(owner, other.arrays().get(i).name()));
                    }
                } else {
                    recoded.put(key(owner, slot.spec().name()), key(owner, other.spec().name()));
                }
            });
        }
        copy(source.slots(), target.slots(), names::get);
        if (!recoded.isEmpty()) {
            recode(source, target, recoded);
        }
        target.resumeAt(source.step(), steps(source.tensorSteps()));
    }

    /// @param names of slots of the target and whose values they take
    private static void recode(Stepper source, Stepper target, Map<String, String> names) {
        try (var decoded = target.hostMemory().allocate(source.plainBytes(), "slots in f32"); var encoding = target.encoding()) {
            var values = new HashMap<String, Array>();
            source.plainSlots(decoded.segment()).forEach(part -> values.put(part.key(), part.array()));
            var taken = new HashMap<String, Array>();
            names.forEach((slot, other) -> taken.put(slot, values.get(other)));
            encoding.take(taken);
        }
    }

    private static String key(String tensor, String slot) {
        return tensor + "#" + slot;
    }

    private List<Long> steps(List<Long> before) {
        var steps = new ArrayList<Long>();
        for (int i = 0; i < before.size(); i++) {
            steps.add(passages.get(i).restart().isPresent() ? 0 : before.get(i));
        }
        return steps;
    }

    /// @param nameOf what the values of a target are called in `sources`, or null
    private static void copy(List<StatePart> sources, List<StatePart> targets,
            Function<String, @Nullable String> nameOf) {
        var byKey = new HashMap<String, StatePart>();
        sources.forEach(part -> byKey.put(part.key(), part));
        for (var target : targets) {
            var name = nameOf.apply(target.key());
            if (name != null) {
                StateArrays.copy(byKey.get(name).array(), target.array());
            }
        }
    }
}
