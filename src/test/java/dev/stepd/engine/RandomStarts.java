package dev.stepd.engine;

import dev.stepd.rule.Catalogue;
import dev.stepd.rule.Spec;
import dev.stepd.tensor.DType;
import java.util.List;

/// Slots that start at random: what they draw depends on a tensor's place in the session, so tests that compare sessions of
/// other tensors give them values of their own, where they are kept in f32.
public final class RandomStarts {
    private RandomStarts() {}

    public static List<StatePart> of(Stepper stepper, Engine.Blueprint blueprint) {
        var spec = Catalogue.find((String) blueprint.composition().optimizer().get("name")).spec();
        var names = spec.slots().stream().filter(Spec.SlotSpec::random).map(Spec.SlotSpec::name).toList();
        return stepper.slots().stream()
                .filter(part -> part.dtype() == DType.F32 && names.contains(part.key().substring(part.key().indexOf('#') + 1)))
                .toList();
    }
}
