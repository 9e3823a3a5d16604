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
record FormatSize(String name) {
    /// The formats there are.
    static final List<FormatSize> ALL = Formats.NAMES.stream().map(FormatSize::new).toList();

    private static final List<String> COARSE = List.of("int8", "fp8", "int4");
    private static final double BITS_PER_BYTE = 8;

    /// Bytes for each parameter. A slot with fewer values than elements counts as none: how many it has depends on the
    /// tensors' shapes, and it keeps its own type in every format.
    double bytesPerParameter(Spec.SlotSpec slot) {
        if (!slot.scope().isElement()) {
            return 0;
        }
        if (slot.fine() != null && COARSE.contains(name)) {
            return Float.BYTES; // a session has to keep such a slot in f32
        }
        var codec = Formats.find(name, slot.sign() == Spec.Sign.SIGNED).orElseThrow();
        var buffer = new Buffer(Buffer.Kind.SLOT, slot.name(), Scope.ELEMENT, Type.F32);
        return codec.arrays(buffer).stream().mapToDouble(FormatSize::bytesPerElement).sum();
    }

    private static double bytesPerElement(Buffer array) {
        return array.storage().bits() / BITS_PER_BYTE / Math.max(array.scope().size(), 1);
    }

    /// Bytes for each parameter of all slots that are kept of a kind of tensors.
    double bytesPerParameter(Entry.Step step) {
        return step.slots().stream().mapToDouble(this::bytesPerParameter).sum();
    }

    /// Whether an entry can be had in this format: presets that name one have it alone.
    boolean fits(Entry entry) {
        var state = entry.composition().state();
        return state == null || name.equals(state.get("format"));
    }

    /// What a kind of tensors takes in every format it can be had in.
    static Map<String, Double> bytesByFormat(Entry entry, Entry.Step step) {
        var bytes = new LinkedHashMap<String, Double>();
        ALL.stream().filter(format -> format.fits(entry))
                .forEach(format -> bytes.put(format.name(), format.bytesPerParameter(step)));
        return bytes;
    }
}
