package dev.stepd.device.cuda;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/// A device's loaded modules, by their text: sessions with the same optimizer share them. Kept for the device's life. Safe for
/// concurrent use.
final class Modules implements AutoCloseable {
    private final CudaContext context;
    private final ModuleCompiler compiler;
    private final Architecture architecture;
    private final Map<String, CudaModule> loaded = new ConcurrentHashMap<>();
    private final SharedWork<CudaModule> loading = new SharedWork<>();

    /// @throws MissingCuda if the compiler does not know the device
    Modules(CudaContext context, ModuleCompiler compiler) {
        this.context = context;
        this.compiler = compiler;
        this.architecture = compiler.architecture(context.device().capability());
    }

    /// @param name for messages
    /// @throws IllegalStateException if the text does not compile
    CudaModule get(String name, String text) {
        var key = compiler.key(text, architecture);
        var found = loaded.get(key);
        return found != null ? found : loading.get(key, () -> {
            var already = loaded.get(key); // loaded since
            if (already != null) {
                return already;
            }
            var module = context.load(compiler.image(name, text, architecture).bytes());
            loaded.put(key, module);
            return module;
        });
    }

    /// Unloads all; nothing may run.
    @Override
    public void close() {
        loaded.values().forEach(CudaModule::close);
        loaded.clear();
    }
}
