package dev.stepd.expr.codec;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import java.util.List;

/// `f32`: the values as they are.
record PlainCodec() implements Codec {
    @Override
    public String name() {
        return "f32";
    }

    @Override
    public List<Buffer> arrays(Buffer slot) {
        return List.of(slot);
    }

    @Override
    public Expr decode(Buffer slot) {
        return new Expr.Read(slot);
    }

    @Override
    public List<Expr> encode(Buffer slot, Expr value) {
        return List.of(value);
    }
}
