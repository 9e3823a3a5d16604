package dev.stepd.device.cuda.shim;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;

/// As much of NVRTC as the shim's own tests need.
record ShimNvrtc(SymbolLookup library) {
    private static final MemoryLayout INT = ValueLayout.JAVA_INT;
    private static final MemoryLayout POINTER = ValueLayout.ADDRESS;

    /// @param result NVRTC's: 0 is success
    /// @param image empty unless it succeeded
    record Compiled(int result, byte[] image, String log) {}

    static ShimNvrtc at(Path path) {
        return new ShimNvrtc(SymbolLookup.libraryLookup(path, Arena.global()));
    }

    /// The module of a text that must compile without a word.
    byte[] compile(String source) {
        var compiled = compile(source, List.of("--gpu-architecture=sm_90", "-fmad=false", "--std=c++17"));
        if (compiled.result() != 0 || !compiled.log().isEmpty()) {
            throw new IllegalStateException("result %d:%n%s".formatted(compiled.result(), compiled.log()));
        }
        return compiled.image();
    }

    Compiled compile(String source, List<String> options) {
        try (var arena = Arena.ofConfined()) {
            var handle = arena.allocate(POINTER);
            var none = MemorySegment.NULL;
            call("nvrtcCreateProgram", List.of(POINTER, POINTER, POINTER, INT, POINTER, POINTER),
                    handle, arena.allocateFrom(source), arena.allocateFrom("test.cu"), 0, none, none);
            var program = handle.get(ValueLayout.ADDRESS, 0);
            var given = arena.allocate(POINTER, options.size());
            for (int i = 0; i < options.size(); i++) {
                given.setAtIndex(ValueLayout.ADDRESS, i, arena.allocateFrom(options.get(i)));
            }
            int result = call("nvrtcCompileProgram", List.of(POINTER, INT, POINTER), program, options.size(), given);
            var log = new String(bytes(arena, program, "nvrtcGetProgramLog")).replace("\0", "");
            var image = result == 0 ? bytes(arena, program, "nvrtcGetCUBIN") : new byte[0];
            call("nvrtcDestroyProgram", List.of(POINTER), handle);
            return new Compiled(result, image, log);
        }
    }

    private byte[] bytes(Arena arena, MemorySegment program, String what) {
        var size = arena.allocate(ValueLayout.JAVA_LONG);
        call(what + "Size", List.of(POINTER, POINTER), program, size);
        var bytes = arena.allocate(Math.max(1, size.get(ValueLayout.JAVA_LONG, 0)));
        call(what, List.of(POINTER, POINTER), program, bytes);
        return bytes.toArray(ValueLayout.JAVA_BYTE);
    }

    private int call(String name, List<MemoryLayout> parameters, Object... arguments) {
        try {
            var type = FunctionDescriptor.of(INT, parameters.toArray(MemoryLayout[]::new));
            return (int) Linker.nativeLinker().downcallHandle(library.findOrThrow(name), type).invokeWithArguments(arguments);
        } catch (Throwable t) {
            throw new IllegalStateException(t);
        }
    }
}
