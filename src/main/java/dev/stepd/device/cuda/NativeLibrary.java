package dev.stepd.device.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;

/// A shared library of the system, loaded for as long as the process lives. Unlike what the runtime offers, it says why a
/// library does not load.
final class NativeLibrary {
    /// What the loader answered.
    static final class LoadException extends RuntimeException {
        LoadException(String reason) {
            super(reason);
        }
    }

    private static final int RTLD_LAZY = 1;

    private final String name;
    private final MemorySegment handle;

    private NativeLibrary(String name, MemorySegment handle) {
        this.name = name;
        this.handle = handle;
    }

    /// @param name a path, or a name that the loader looks for where it always does
    /// @throws LoadException with the loader's own words: no such file, another architecture, a library it needs in turn
    static NativeLibrary open(String name) {
        try (var arena = Arena.ofConfined()) {
            var handle = (MemorySegment) Loader.DLOPEN.invokeExact(arena.allocateFrom(name), RTLD_LAZY);
            if (handle.address() == 0) {
                var reason = (MemorySegment) Loader.DLERROR.invokeExact();
                throw new LoadException(reason.address() == 0 ? name + " does not load" : why(name, text(reason)));
            }
            return new NativeLibrary(name, handle);
        } catch (LoadException e) {
            throw e;
        } catch (Throwable e) {
            throw new LoadException(name + " cannot be loaded on this platform: " + e);
        }
    }

    /// Of a library for another processor the loader says that there is none.
    private static String why(String name, String reason) {
        boolean isThere = Path.of(name).isAbsolute() && Files.exists(Path.of(name));
        return isThere && reason.startsWith(name + ":") && reason.contains("No such file")
                ? name + " is for another processor"
                : reason;
    }

    /// @throws LoadException if the library has no such function
    MethodHandle bind(String function, FunctionDescriptor type) {
        try (var arena = Arena.ofConfined()) {
            var address = (MemorySegment) Loader.DLSYM.invokeExact(handle, arena.allocateFrom(function));
            if (address.address() == 0) {
                throw new LoadException(name + " has no function " + function);
            }
            return Linker.nativeLinker().downcallHandle(address, type);
        } catch (LoadException e) {
            throw e;
        } catch (Throwable e) {
            throw new LoadException(name + " cannot be searched on this platform: " + e);
        }
    }

    /// A text that ends with a zero byte, of a length nobody states.
    static String text(MemorySegment address) {
        return address.reinterpret(Long.MAX_VALUE).getString(0);
    }

    /// The loader's calls, bound when first needed: not every platform has them.
    private static final class Loader {
        private static final ValueLayout POINTER = ValueLayout.ADDRESS;

        static final MethodHandle DLOPEN =
                bind("dlopen", FunctionDescriptor.of(POINTER, POINTER, ValueLayout.JAVA_INT));
        static final MethodHandle DLSYM = bind("dlsym", FunctionDescriptor.of(POINTER, POINTER, POINTER));
        static final MethodHandle DLERROR = bind("dlerror", FunctionDescriptor.of(POINTER));

        private static MethodHandle bind(String name, FunctionDescriptor type) {
            var linker = Linker.nativeLinker();
            return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), type);
        }
    }
}
