package dev.stepd.engine;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.codec.Codec;
import dev.stepd.rule.Spec;
import java.util.List;

/// A slot and the format it is kept in.
record Stored(Spec.SlotSpec spec, Codec codec) {
    /// The slot as rules have it.
    Buffer slot() {
        return new Buffer(Buffer.Kind.SLOT, spec.name(), spec.scope(), spec.storage());
    }

    /// What it is kept in.
    List<Buffer> arrays() {
        return codec.arrays(slot());
    }

    boolean isPlain() {
        return codec.name().equals("f32");
    }
}
