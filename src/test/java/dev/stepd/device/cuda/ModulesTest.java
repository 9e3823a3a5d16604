package dev.stepd.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.device.cuda.CudaLibrary.Present;
import dev.stepd.device.cuda.shim.CudaShim;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Compiled once, loaded once for each device, and found again by the next server.
class ModulesTest {
    private static final int EMITTER = 1;

    @TempDir
    private Path folder;

    private CudaShim shim;
    private Present library;

    @BeforeEach
    void find() {
        Assumptions.assumeTrue(CudaShim.available(), "there is no CUDA shim");
        shim = CudaShim.load();
        shim.reset();
        shim.devices(2);
        library = (Present) CudaLibrary.find();
    }

    @AfterEach
    void balance() {
        if (shim != null) {
            assertThat(shim.balance()).isZero();
            shim.reset();
        }
    }

    private ModuleCompiler compiler(int emitter) {
        return new ModuleCompiler(library.nvrtc(), new ModuleCache(folder, 1 << 20), emitter);
    }

    private CudaContext context(int device) {
        return CudaContext.open(library.devices().get(device));
    }

    private static String text(String function) {
        return "extern \"C\" __global__ void " + function + "(int n) {}\n";
    }

    private List<Path> entries() throws IOException {
        try (var files = Files.list(folder)) {
            return files.toList();
        }
    }

    @Test
    void oneTextIsCompiledOnceAndLoadedOnceForEachDevice() throws IOException {
        var compiler = compiler(EMITTER);
        try (var first = context(0);
                var second = context(1);
                var ofFirst = new Modules(first, compiler);
                var ofSecond = new Modules(second, compiler)) {
            var module = ofFirst.get("plan", text("f"));
            assertThat(ofFirst.get("plan", text("f"))).isSameAs(module);
            assertThat(ofSecond.get("plan", text("f"))).isNotSameAs(module);
            assertThat(compiler.compilations()).isEqualTo(1);
            assertThat(shim.calls("cuModuleLoadData")).isEqualTo(2);
            module.function("f");
            ofFirst.get("plan", text("g")).function("g");
            assertThat(compiler.compilations()).isEqualTo(2);
            assertThat(entries()).hasSize(2);
        }
    }

    @Test
    void theNextServerFindsIt() throws IOException {
        try (var context = context(0); var modules = new Modules(context, compiler(EMITTER))) {
            modules.get("plan", text("f"));
        }
        var next = compiler(EMITTER);
        try (var context = context(0); var modules = new Modules(context, next)) {
            modules.get("other name", text("f")).function("f");
            assertThat(next.compilations()).isZero();
        }
    }

    @Test
    void whateverDecidesTheCodeIsPartOfTheKey() {
        var compiler = compiler(EMITTER);
        var key = compiler.key(text("f"), new Architecture(90, true));
        assertThat(key).hasSize(64);
        assertThat(List.of(
                        compiler.key(text("g"), new Architecture(90, true)),
                        compiler.key(text("f"), new Architecture(80, true)),
                        compiler.key(text("f"), new Architecture(90, false)),
                        compiler(EMITTER + 1).key(text("f"), new Architecture(90, true))))
                .doesNotContain(key).doesNotHaveDuplicates();
        shim.nvrtcVersion(13, 1);
        library = (Present) CudaLibrary.find();
        assertThat(compiler(EMITTER).key(text("f"), new Architecture(90, true))).isNotEqualTo(key);
    }

    @Test
    void aDamagedEntryIsCompiledAgain() throws IOException {
        try (var context = context(0); var modules = new Modules(context, compiler(EMITTER))) {
            modules.get("plan", text("f"));
        }
        var entry = entries().getFirst();
        var bytes = Files.readAllBytes(entry);
        bytes[bytes.length / 2] ^= 1;
        Files.write(entry, bytes);
        var next = compiler(EMITTER);
        try (var context = context(0); var modules = new Modules(context, next)) {
            modules.get("plan", text("f")).function("f");
            assertThat(next.compilations()).isEqualTo(1);
        }
        assertThat(Files.readAllBytes(entry)).isNotEqualTo(bytes);
    }

    @Test
    void manyWhoAskAtOnceShareOneCompilation() throws Exception {
        var compiler = compiler(EMITTER);
        try (var context = context(0);
                var modules = new Modules(context, compiler);
                var threads = Executors.newFixedThreadPool(8)) {
            var asked = threads.invokeAll(IntStream.range(0, 24)
                    .<Callable<CudaModule>>mapToObj(i -> () -> modules.get("plan", text("f" + i % 3))).toList());
            for (int i = 0; i < asked.size(); i++) {
                assertThat(asked.get(i).get()).isSameAs(asked.get(i % 3).get());
            }
            assertThat(compiler.compilations()).isEqualTo(3);
            assertThat(shim.calls("cuModuleLoadData")).isEqualTo(3);
        }
    }

    @Test
    void aTextThatDoesNotCompileLeavesNothing() throws IOException {
        var compiler = compiler(EMITTER);
        try (var context = context(0); var modules = new Modules(context, compiler)) {
            assertThatThrownBy(() -> modules.get("broken", "extern \"C\" __global__ void f(int n) { x = n; }"))
                    .isInstanceOf(IllegalStateException.class).hasMessageContaining("> 1  extern");
            modules.get("plan", text("f")).function("f");
            assertThat(entries()).hasSize(1);
        }
    }

    @Test
    void aModuleThatDoesNotLoadIsAskedForAgain() {
        try (var context = context(0); var modules = new Modules(context, compiler(EMITTER))) {
            shim.failOnce("cuModuleLoadData", 1, 2);
            assertThatThrownBy(() -> modules.get("plan", text("f"))).isInstanceOf(CudaError.class);
            modules.get("plan", text("f")).function("f");
        }
    }
}
