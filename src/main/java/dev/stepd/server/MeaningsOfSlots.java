package dev.stepd.server;

import dev.stepd.error.ServiceException;
import dev.stepd.rule.Catalogue;
import dev.stepd.rule.Meaning;
import dev.stepd.rule.Rule;
import dev.stepd.rule.Settings;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/// Which slots of which optimizers mean the same, for the page of optimizers.
final class MeaningsOfSlots {
    static final String INTRODUCTION = """
            ## Changing the optimizer

            `POST /v1/sessions/{id}/forks` with another `optimizer` makes a session that goes on from the same parameters. A slot of the
            new optimizer takes over the values of a slot that means the same, which is read off the assignments of both: those below,
            whatever a session's decay rates are, where its other settings make the assignment so. Coupled weight decay is part of the
            gradient. A slot that sees more of a gradient than that (cut, normalized, reset, scaled by a rate) is known to its own
            optimizer only. Wrappers and averages stay, and so do their slots.

            What means nothing there is dropped; what has no source starts anew. The session's step goes on in any case, and schedules with
            it. Tensors go on counting their steps, unless the optimizer makes up for the start of a slot by that count (bias
            correction) and the slot is one that starts anew: its first steps would be far too long. Such a tensor keeps its parameter,
            and everything else of it starts anew, its count of steps too. So adamw -> lion carries `exp_avg`, lion -> adamw nothing, adam ->
            amsgrad everything.
            """;
    /// What has to be set so that an optimizer keeps more.
    private static final List<Map<String, Object>> SETTINGS = List.of(
            Map.of(), Map.of("momentum", 0.5), Map.of("amsgrad", true), Map.of("centered", true), Map.of("project_buffer", false),
            Map.of("max_grad_norm", 0));

    private MeaningsOfSlots() {}

    /// Slots such as `adam.exp_avg`, sorted.
    static Map<Meaning, List<String>> all() {
        var slots = new EnumMap<Meaning, TreeSet<String>>(Meaning.class);
        for (var rule : Catalogue.rules()) {
            SETTINGS.forEach(set -> meanings(rule, set).forEach((slot, meaning) ->
                    slots.computeIfAbsent(meaning, _ -> new TreeSet<>()).add(rule.spec().name() + "." + slot)));
        }
        var all = new EnumMap<Meaning, List<String>>(Meaning.class);
        slots.forEach((meaning, named) -> all.put(meaning, new ArrayList<>(named)));
        return all;
    }

    private static Map<String, Meaning> meanings(Rule rule, Map<String, Object> set) {
        if (!set.keySet().stream().allMatch(name -> rule.spec().hyperparameter(name).isPresent())) {
            return Map.of();
        }
        var optimizer = new HashMap<>(set);
        optimizer.put("name", rule.spec().name());
        try {
            var settings = Settings.read(optimizer, List.of(), null);
            var meanings = new HashMap<String, Meaning>();
            settings.rule().kinds().forEach(kind -> meanings.putAll(Meaning.of(settings, kind)));
            return meanings;
        } catch (ServiceException meaningless) {
            return Map.of();
        }
    }
}
