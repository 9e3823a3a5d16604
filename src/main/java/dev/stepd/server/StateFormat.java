package dev.stepd.server;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.codec.Formats;
import dev.stepd.rule.Entry;
import dev.stepd.rule.Spec;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// How much memory a format takes, by the arrays that it stores a slot in.
record StateFormat(String name) {
    /// The formats there are.
    static final List<StateFormat> ALL = Formats.NAMES.stream().map(StateFormat::new).toList();

    private static final double BITS_PER_BYTE = 8;

    /// Bytes for each parameter. A slot with fewer values than elements counts as none: how many it has depends on the
    /// tensors' shapes, and it keeps its own type in every format.
    double bytesPerParameter(Spec.SlotSpec slot) {
        if (!slot.scope().isElement()) {
            return 0;
        }
        var codec = Formats.find(name, slot.sign() == Spec.Sign.SIGNED).orElseThrow();
        var buffer = new Buffer(Buffer.Kind.SLOT, slot.name(), Scope.ELEMENT, Type.F32);
        return codec.arrays(buffer).stream().mapToDouble(StateFormat::bytesPerElement).sum();
    }

    private static double bytesPerElement(Buffer array) {
        return array.storage().bits() / BITS_PER_BYTE / Math.max(array.scope().size(), 1);
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
