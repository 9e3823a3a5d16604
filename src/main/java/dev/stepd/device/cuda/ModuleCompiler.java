package dev.stepd.device.cuda;

import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.concurrent.atomic.AtomicLong;

/// Compiles kernels, unless they have been before by this or an earlier server. One for all devices; safe for concurrent use:
/// what several ask for at once is compiled once.
final class ModuleCompiler {
    private final Nvrtc nvrtc;
    private final ModuleCache cache;
    private final int emitter;
    private final SharedWork<ModuleImage> running = new SharedWork<>();
    private final AtomicLong compilations = new AtomicLong();

    /// @param emitter version of what writes the texts: part of the key, so that a defect fixed without a trace in the text
    ///     does not live on
    ModuleCompiler(Nvrtc nvrtc, ModuleCache cache, int emitter) {
        this.nvrtc = nvrtc;
        this.cache = cache;
        this.emitter = emitter;
    }

    /// @param capability compute capability of the device the image is for
    /// @throws MissingCuda if the compiler no longer knows so old a device
    Architecture architecture(int capability) {
        return Architecture.best(capability, nvrtc.capabilities());
    }

    /// @param name for messages
    /// @throws IllegalStateException if the text does not compile
    ModuleImage image(String name, String text, Architecture architecture) {
        var key = key(text, architecture);
        return running.get(key, () -> cache.find(key).map(bytes -> new ModuleImage(bytes, "")).orElseGet(() -> {
            compilations.incrementAndGet();
            var image = nvrtc.compile(name, text, architecture);
            cache.store(key, image.bytes());
            return image;
        }));
    }

    /// Everything that decides what comes out, as 64 letters.
    String key(String text, Architecture architecture) {
        var all = String.join("\n", Nvrtc.options(architecture)) + "\nNVRTC " + nvrtc.version() + "\nemitter " + emitter + "\n" + text;
        return HexFormat.of().formatHex(ModuleCache.digest(all.getBytes(StandardCharsets.UTF_8)));
    }

    /// How often a text was compiled rather than found.
    long compilations() {
        return compilations.get();
    }
}
