package dev.stepd.codegen.cuda;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Table;
import dev.stepd.expr.Type;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/// One kernel on its way to text: its name, what it keeps in shared memory, and its body.
final class KernelText {
    private final String name;
    private final Names names;
    private final Pointers pointers;
    private final List<String> shared = new ArrayList<>();
    private final Set<Table> tables = new LinkedHashSet<>();
    private final Lines body = new Lines();
    private long sharedBytes;
    private int numbered;

    KernelText(String name, Names names, Pointers pointers) {
        this.name = name;
        this.names = names;
        this.pointers = pointers;
    }

    String name() {
        return name;
    }

    Lines body() {
        return body;
    }

    Names names() {
        return names;
    }

    Pointers pointers() {
        return pointers;
    }

    String numbered(String prefix) {
        return prefix + numbered++;
    }

    Values values() {
        return new Values(this::numbered, table -> {
            tables.add(table);
            return "shared." + names.of(table);
        });
    }

    /// Reserves shared memory: `shared.member`.
    void share(Type type, String member, int extent) {
        shared.add(Types.stored(type) + " " + member + "[" + extent + "];");
        sharedBytes += (long) extent * type.bytes();
    }

    /// Shared memory of a block of threads.
    long sharedBytes() {
        return sharedBytes + tables.stream().mapToLong(table -> (long) table.size() * Integer.BYTES).sum();
    }

    Set<Table> tables() {
        return tables;
    }

    /// The struct of its shared memory, the function that does its work, and the kernel that calls it.
    String text() {
        var lines = new Lines();
        for (var table : tables) {
            shared.add((table.type() == Type.F32 ? "float " : "int ") + names.of(table) + "[" + table.size() + "];");
        }
        var parameters = "const Arrays &a, const Work &w, long long block, long long blocks";
        if (!shared.isEmpty()) {
            lines.open("struct " + sharedType());
            shared.forEach(lines::line);
            lines.close(";");
            lines.line("");
            parameters += ", " + sharedType() + " &shared";
        }
        lines.open("__device__ void " + name + "_by(" + parameters + ")");
        if (!tables.isEmpty()) {
            tables.forEach(table -> lines.line("for (int n = threadIdx.x; n < " + table.size() + "; n += THREADS) shared."
                    + names.of(table) + "[n] = " + cast(table) + "(" + names.of(table) + "[n]);"));
            lines.line("__syncthreads();");
        }
        body.dropUnused();
        lines.add(body);
        lines.close();
        lines.line("");
        lines.open("extern \"C\" __global__ void __launch_bounds__(THREADS) " + name
                + "(const __grid_constant__ Call call)");
        if (!shared.isEmpty()) {
            lines.line("__shared__ " + sharedType() + " shared;");
        }
        lines.line(name + "_by(call.a, call.w, blockIdx.x, gridDim.x" + (shared.isEmpty() ? "" : ", shared") + ");");
        lines.close();
        return lines.toString();
    }

    private static String cast(Table table) {
        return table.type() == Type.F32 ? "__int_as_float" : "(int) ";
    }

    String sharedType() {
        return "Shared_" + name;
    }

    boolean shares() {
        return !shared.isEmpty() || !tables.isEmpty();
    }

    /// Whether a value of `scope` is one for all that a tile of a pass over `pass` covers.
    static boolean isUniform(Scope scope, Scope pass) {
        boolean ofTensors = scope.coarserThan(Scope.TENSOR) || scope.equals(Scope.TENSOR);
        return scope.coarserThan(pass) && ofTensors && (!pass.equals(Scope.TENSOR) || scope.equals(Scope.SESSION));
    }

    /// The value of a uniform array.
    String uniform(Buffer buffer) {
        return pointers.read(buffer) + "[" + switch (buffer.scope().kind()) {
            case SESSION -> "0";
            case GROUP -> "tensor.group";
            case TENSOR -> "tile.tensor";
            case ROW, COLUMN, BLOCK, ELEMENT -> throw new IllegalStateException(buffer + " changes within a tensor");
        } + "]";
    }
}
