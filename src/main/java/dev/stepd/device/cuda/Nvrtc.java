package dev.stepd.device.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// NVIDIA's run-time compiler of CUDA C, from a library of CUDA 12 or 13 on this machine. Safe for concurrent use.
final class Nvrtc {
    private static final int SUCCESS = 0;

    private final Path file;
    private final NativeLibrary library;
    private final int version;
    private final List<Integer> capabilities;

    private final MethodHandle createProgram;
    private final MethodHandle compileProgram;
    private final MethodHandle destroyProgram;
    private final Text log;
    private final Text code;
    private final Text ptx;
    private final MethodHandle errorString;

    /// @param file told in messages
    /// @throws NativeLibrary.LoadException if it does not load or is something else
    Nvrtc(Path file) {
        this.file = file;
        this.library = NativeLibrary.open(file.toString());
        this.createProgram = bind("nvrtcCreateProgram", ADDRESS, ADDRESS, ADDRESS, JAVA_INT, ADDRESS, ADDRESS);
        this.compileProgram = bind("nvrtcCompileProgram", ADDRESS, JAVA_INT, ADDRESS);
        this.destroyProgram = bind("nvrtcDestroyProgram", ADDRESS);
        this.log = text("ProgramLog");
        this.code = text("CUBIN");
        this.ptx = text("PTX");
        this.errorString = library.bind("nvrtcGetErrorString", FunctionDescriptor.of(ADDRESS, JAVA_INT));
        this.version = askVersion();
        this.capabilities = askCapabilities();
        loadBuiltins();
    }

    /// NVRTC loads a second library when it first compiles, and looks for it only where the loader does. Loading it from
    /// where NVRTC itself lies has the loader find it.
    private void loadBuiltins() {
        var builtins = file.resolveSibling("libnvrtc-builtins.so." + CudaProbe.version(version));
        if (file.isAbsolute() && Files.exists(builtins)) {
            NativeLibrary.open(builtins.toString());
        }
    }

    private MethodHandle bind(String function, MemoryLayout... parameters) {
        return library.bind(function, FunctionDescriptor.of(JAVA_INT, parameters));
    }

    private Text text(String what) {
        return new Text(bind("nvrtcGet" + what + "Size", ADDRESS, ADDRESS), bind("nvrtcGet" + what, ADDRESS, ADDRESS));
    }

    /// 12060 for 12.6.
    int version() {
        return version;
    }

    /// Where it was found.
    Path file() {
        return file;
    }

    /// Compute capabilities it compiles for, 90 for 9.0.
    List<Integer> capabilities() {
        return capabilities;
    }

    /// How the compiler is called: everything besides text and name that decides what comes out. Rounding is what the text says,
    /// so products and sums stay apart; the rest of what keeps IEEE arithmetic is NVRTC's default.
    static List<String> options(Architecture architecture) {
        return List.of("--gpu-architecture=" + architecture, "-fmad=false", "--std=c++17");
    }

    /// @param name a few letters for messages
    /// @param text CUDA C without includes
    /// @throws IllegalStateException if it does not compile, with the compiler's words and the lines they are about
    ModuleImage compile(String name, String text, Architecture architecture) {
        try (var arena = Arena.ofConfined()) {
            var place = arena.allocate(ADDRESS);
            check((int) createProgram.invokeExact(
                    place, arena.allocateFrom(text), arena.allocateFrom(name + ".cu"), 0, MemorySegment.NULL, MemorySegment.NULL));
            try {
                var program = place.get(ADDRESS, 0);
                int result = (int) compileProgram.invokeExact(program, 3, options(arena, architecture));
                var said = said(program);
                if (result != SUCCESS) {
                    throw new IllegalStateException(name + " does not compile for " + architecture + " with NVRTC "
                            + CudaProbe.version(version) + " of " + file + ": " + words(result) + "\n"
                            + CompilerLog.explain(said, text));
                }
                return new ModuleImage((architecture.code() ? code : ptx).get(program), said);
            } finally {
                check((int) destroyProgram.invokeExact(place));
            }
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    private static MemorySegment options(Arena arena, Architecture architecture) {
        var options = options(architecture);
        var pointers = arena.allocate(ADDRESS, options.size());
        for (int i = 0; i < options.size(); i++) {
            pointers.setAtIndex(ADDRESS, i, arena.allocateFrom(options.get(i)));
        }
        return pointers;
    }

    private String said(MemorySegment program) throws Throwable {
        var bytes = log.get(program);
        return new String(bytes, 0, Math.max(0, bytes.length - 1), StandardCharsets.UTF_8).strip();
    }

    private int askVersion() {
        var version = bind("nvrtcVersion", ADDRESS, ADDRESS);
        long both = ForeignNumber.getLong(place -> check((int) version.invokeExact(place, place.asSlice(4))));
        return (int) both * 1000 + (int) (both >>> 32) * 10;
    }

    private List<Integer> askCapabilities() {
        var count = bind("nvrtcGetNumSupportedArchs", ADDRESS);
        var list = bind("nvrtcGetSupportedArchs", ADDRESS);
        int length = ForeignNumber.getInt(place -> check((int) count.invokeExact(place)));
        try (var arena = Arena.ofConfined()) {
            var numbers = arena.allocate(JAVA_INT, length);
            check((int) list.invokeExact(numbers));
            var found = new ArrayList<Integer>();
            for (int i = 0; i < length; i++) {
                found.add(numbers.getAtIndex(JAVA_INT, i));
            }
            return List.copyOf(found);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    private void check(int result) throws Throwable {
        if (result != SUCCESS) {
            throw new IllegalStateException("NVRTC of " + file + " failed: " + words(result));
        }
    }

    private String words(int result) throws Throwable {
        return NativeLibrary.text((MemorySegment) errorString.invokeExact(result)) + " (" + result + ")";
    }

    /// Something of a program that is asked for its size first.
    private final class Text {
        private final MethodHandle size;
        private final MethodHandle bytes;

        Text(MethodHandle size, MethodHandle bytes) {
            this.size = size;
            this.bytes = bytes;
        }

        byte[] get(MemorySegment program) throws Throwable {
            long length = ForeignNumber.getLong(place -> check((int) size.invokeExact(program, place)));
            try (var arena = Arena.ofConfined()) {
                var copy = arena.allocate(Math.max(1, length));
                check((int) bytes.invokeExact(program, copy));
                return copy.asSlice(0, length).toArray(JAVA_BYTE);
            }
        }
    }
}
