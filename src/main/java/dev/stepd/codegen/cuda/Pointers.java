package dev.stepd.codegen.cuda;

import dev.stepd.expr.Buffer;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// What a plan's kernels find in memory: the members of its `struct Arrays`, noted as their text is written; a call has them and its `Work`.
final class Pointers {
    private final Names names;
    private final Map<CudaProgram.Pointer, String> members = new LinkedHashMap<>();
    private final Set<CudaProgram.Pointer> written = new HashSet<>();

    Pointers(Names names) {
        this.names = names;
    }

    String read(Buffer buffer) {
        return member(new CudaProgram.Pointer.Array(buffer));
    }

    String written(Buffer buffer) {
        var pointer = new CudaProgram.Pointer.Array(buffer);
        written.add(pointer);
        return member(pointer);
    }

    /// Where each tensor's blocks of a size begin.
    String firstBlocks(int size) {
        return member(new CudaProgram.Pointer.FirstBlocks(size));
    }

    /// Where each tensor's bytes begin in arrays of half bytes.
    String firstBytes() {
        return member(new CudaProgram.Pointer.FirstBytes());
    }

    private String member(CudaProgram.Pointer pointer) {
        return "a." + members.computeIfAbsent(pointer, p -> switch (p) {
            case CudaProgram.Pointer.Array(Buffer buffer) -> names.of(buffer);
            case CudaProgram.Pointer.FirstBlocks(int size) -> "first_block" + size;
            case CudaProgram.Pointer.FirstBytes() -> "first_byte";
        });
    }

    /// In the order of the struct.
    List<CudaProgram.Pointer> all() {
        return List.copyOf(members.keySet());
    }

    String struct() {
        var lines = new Lines();
        lines.open("struct Arrays");
        members.forEach((pointer, name) -> {
            var type = pointer instanceof CudaProgram.Pointer.Array(Buffer buffer) ? Types.stored(buffer.storage()) : "long long";
            lines.line((written.contains(pointer) ? "" : "const ") + type + " *" + name + ";" + comment(pointer));
        });
        lines.close(";");
        lines.line("");
        lines.open("struct Call");
        lines.line("Arrays a;");
        lines.line("Work w;");
        lines.close(";");
        return lines.toString();
    }

    private static String comment(CudaProgram.Pointer pointer) {
        return switch (pointer) {
            case CudaProgram.Pointer.Array(Buffer buffer) -> " // one for each " + buffer.scope();
            case CudaProgram.Pointer.FirstBlocks(int size) -> " // by tensor: its first block of " + size;
            case CudaProgram.Pointer.FirstBytes() -> " // by tensor: its first byte in arrays of half bytes";
        };
    }
}
