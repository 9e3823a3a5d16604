package dev.stepd.codegen.cpu;

import dev.stepd.expr.stage.Stage;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;

/// Compiles stages to classes of this JVM.
public final class KernelCompiler {
    /// Changes whenever the same stage would be compiled to other code: part of every cache key.
    public static final int VERSION = 6;

    private final int vectorBits;

    /// @param vectorBits 128, 256 or 512; results do not depend on it
    public KernelCompiler(int vectorBits) {
        this.vectorBits = vectorBits;
    }

    /// Compiles for the vectors of this machine.
    public KernelCompiler() {
        this(Lanes.preferredBits());
    }

    public Kernel compile(Stage stage) {
        try {
            var kernel = new KernelClass(stage, vectorBits);
            var lookup = MethodHandles.lookup().defineHiddenClassWithClassData(kernel.bytes(), kernel.data(), true);
            var constructor = lookup.findConstructor(lookup.lookupClass(), MethodType.methodType(void.class));
            return (Kernel) constructor.invoke();
        } catch (Throwable e) {
            throw new IllegalStateException("cannot compile " + stage, e);
        }
    }

    /// The class file of a stage.
    public byte[] bytes(Stage stage) {
        return new KernelClass(stage, vectorBits).bytes();
    }
}
