package dev.stepd.server;

import dev.stepd.rule.Entry;
import dev.stepd.rule.Spec;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// How much memory a format takes for a slot that has one value for each element.
///
/// @param elementBytes of one value
/// @param blockBytes what a block of `blockElements` values takes besides
record StateFormat(String name, double elementBytes, double blockBytes, int blockElements) {
    /// The formats there are.
    static final List<StateFormat> ALL = List.of(new StateFormat("f32", 4, 0, 1));

    /// Bytes for each parameter. A slot with fewer values than elements counts as none: how many it has depends on the
    /// tensors' shapes, and it keeps its own type in every format.
    double bytesPerParameter(Spec.SlotSpec slot) {
        return slot.scope().isElement() ? elementBytes + blockBytes / blockElements : 0;
    }

    /// Bytes for each parameter of all slots that are kept of a kind of tensors.
    double bytesPerParameter(Entry.Step step) {
        return step.slots().stream().mapToDouble(this::bytesPerParameter).sum();
    }

    /// The same in every format.
    static Map<String, Double> bytesByFormat(Entry.Step step) {
        var bytes = new LinkedHashMap<String, Double>();
        ALL.forEach(format -> bytes.put(format.name(), format.bytesPerParameter(step)));
        return bytes;
    }
}
