package dev.stepd.codegen.cpu;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Table;
import dev.stepd.expr.stage.Stage;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;

/// Compiles stages to classes of this JVM.
public final class KernelCompiler {
    /// Changes whenever the same stage would be compiled to other code: part of every cache key.
    public static final int VERSION = 7;

    private final int vectorBits;
    private final int tableBits;

    /// @param vectorBits 128, 256 or 512; results do not depend on it
    public KernelCompiler(int vectorBits) {
        this(vectorBits, vectorBits);
    }

    /// Compiles for the vectors of this machine.
    public KernelCompiler() {
        this(Lanes.preferredBits(), Lanes.widestBits());
    }

    private KernelCompiler(int vectorBits, int tableBits) {
        this.vectorBits = vectorBits;
        this.tableBits = tableBits;
    }

    public Kernel compile(Stage stage) {
        try {
            var kernel = kernel(stage);
            var lookup = MethodHandles.lookup().defineHiddenClassWithClassData(kernel.bytes(), kernel.data(), true);
            var constructor = lookup.findConstructor(lookup.lookupClass(), MethodType.methodType(void.class));
            return (Kernel) constructor.invoke();
        } catch (Throwable e) {
            throw new IllegalStateException("cannot compile " + stage, e);
        }
    }

    /// The class file of a stage.
    public byte[] bytes(Stage stage) {
        return kernel(stage).bytes();
    }

    /// Where values are looked up in tables of more than two vectors, the widest vectors are the fastest by far.
    private KernelClass kernel(Stage stage) {
        boolean looksUp = stage.nodes().stream().anyMatch(node ->
                node instanceof Expr.Lookup(Table table, _) && table.size() * Integer.SIZE > 2 * vectorBits);
        return new KernelClass(stage, looksUp ? tableBits : vectorBits);
    }
}
