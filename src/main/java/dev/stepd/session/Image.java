package dev.stepd.session;

import dev.stepd.engine.StatePart;
import dev.stepd.engine.Stepper;
import dev.stepd.tensor.Part;
import dev.stepd.tensor.SafetensorsHeader.Entry;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// A copy of what a session keeps at one step, in main memory or in a spool file, until it is released.
///
/// @param tensorSteps as [Stepper#tensorSteps] gave them
/// @param parts in canonical order, end to end in `memory`
record Image(long step, List<Long> tensorSteps, List<Part> parts, Lease memory) {
    Image {
        tensorSteps = List.copyOf(tensorSteps);
        parts = List.copyOf(parts);
    }

    /// What a stepper keeps, where it lies, in canonical order.
    static List<StatePart> live(List<String> tensors, Stepper stepper) {
        return StateDigest.canonical(tensors, stepper.hasParameters() ? stepper.parameters() : List.of(), stepper.slots());
    }

    /// Copies what a stepper keeps; nothing else may happen to it meanwhile.
    ///
    /// @param tensors names as declared
    /// @throws dev.stepd.error.ServiceException `UNAVAILABLE` when there is room neither in main memory nor in a file
    static Image of(Resources resources, List<String> tensors, Stepper stepper, String purpose) {
        return of(resources, tensors, stepper, purpose, false);
    }

    /// @param inFile whether main memory must not be used
    static Image of(Resources resources, List<String> tensors, Stepper stepper, String purpose, boolean inFile) {
        var live = live(tensors, stepper);
        long bytes = live.stream().mapToLong(part -> part.array().byteSize()).sum();
        var memory = inFile ? resources.copyToFile(live, bytes, purpose) : resources.copyAside(live, bytes, purpose);
        return new Image(stepper.step(), stepper.tensorSteps(), Expected.like("array", live).parts(memory.memory()), memory);
    }

    /// The image in bytes that lie end to end as a manifest says.
    static Image at(long step, List<Long> tensorSteps, List<Entry> entries, Lease memory) {
        var parts = entries.stream()
                .map(e -> new Part(e.key(), e.dtype(), e.shape(), memory.memory().asSlice(e.begin(), e.byteCount())))
                .toList();
        return new Image(step, tensorSteps, parts, memory);
    }

    /// The same in a file. This one stays.
    ///
    /// @throws dev.stepd.error.ServiceException `UNAVAILABLE` when there is no room
    Image inFile(Resources resources, String purpose) {
        var all = parts.stream().map(StatePart::of).toList();
        var file = resources.copyToFile(all, memory.memory().byteSize(), purpose);
        return new Image(step, tensorSteps, Expected.like("array", all).parts(file.memory()), file);
    }

    boolean hasParameters() {
        return parts.stream().anyMatch(part -> part.key().indexOf('#') < 0);
    }

    /// Puts everything into the place of what a stepper of the same blueprint keeps.
    void putInto(Stepper stepper) {
        var targets = targets(stepper);
        if (hasParameters()) {
            stepper.parametersLoaded(); // before the slots: some would start at the parameters anew
        }
        for (var part : parts) {
            targets.get(part.key()).array().write(0, part.data());
        }
        stepper.resumeAt(step, tensorSteps);
    }

    /// Everything a stepper keeps or may come to keep, by key.
    static Map<String, StatePart> targets(Stepper stepper) {
        var targets = new HashMap<String, StatePart>();
        stepper.parameters().forEach(part -> targets.put(part.key(), part));
        stepper.slots().forEach(part -> targets.put(part.key(), part));
        return targets;
    }

    void release() {
        memory.release();
    }
}
