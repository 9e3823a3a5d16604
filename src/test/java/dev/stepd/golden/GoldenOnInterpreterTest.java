package dev.stepd.golden;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.engine.Engine;
import dev.stepd.engine.StatePart;
import dev.stepd.engine.Stepper;
import dev.stepd.engine.Values;
import dev.stepd.expr.Type;
import dev.stepd.expr.rewrite.Rewrites;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import dev.stepd.tensor.TensorSpec;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// The programs themselves, without the compiler, replay what the authors' code did: in f32, and in f64 rounded at the end.
/// The engine gives the interpreter's f32 bits at every step.
class GoldenOnInterpreterTest {
    static Stream<GoldenFile> files() {
        return GoldenFile.ofCatalogue();
    }

    @ParameterizedTest
    @MethodSource("files")
    void replaysInF32(GoldenFile file) {
        replay(file, Type.F32);
    }

    @ParameterizedTest
    @MethodSource("files")
    void replaysInF64(GoldenFile file) {
        replay(file, Type.F64);
    }

    private static void replay(GoldenFile file, Type element) {
        var optimizer = new InterpretedSession(file, element, program -> program);
        var names = List.copyOf(file.tensors().keySet());
        for (int t = 1; t <= file.steps(); t++) {
            optimizer.step(file, t);
            for (int tensor = 0; tensor < names.size(); tensor++) {
                Closeness.checkParameter(file, names.get(tensor), t, InterpretedOptimizer.rounded(optimizer.parameter(tensor)));
            }
            optimizer.check(file, t);
        }
    }

    @ParameterizedTest
    @MethodSource("files")
    void theEngineHasItsBits(GoldenFile file) {
        var optimizer = new InterpretedSession(file, Type.F32, Rewrites::expand);
        try (var engine = new Engine(new CpuDevice(1 << 28, 2)); var stepper = engine.create(blueprint(file))) {
            file.start(stepper);
            try (var body = engine.hostMemory().allocate(stepper.body().byteCount(), "a body")) {
                var present = new BitSet();
                present.set(0, file.tensors().size());
                for (int t = 1; t <= file.steps(); t++) {
                    stepper.step(body.segment(), present, file.fill(stepper, body.segment(), t));
                    optimizer.step(file, t);
                    compare(file, t, stepper, optimizer);
                }
            }
        }
    }

    private static Engine.Blueprint blueprint(GoldenFile file) {
        var tensors = new ArrayList<TensorSpec>();
        file.tensors().forEach((name, extents) -> tensors.add(new TensorSpec(name, new Shape(extents), DType.F32)));
        return new Engine.Blueprint(tensors, file.description(), List.of(), null, null, Engine.NonFinite.REJECT);
    }

    private static void compare(GoldenFile file, int t, Stepper stepper, InterpretedSession optimizer) {
        var names = List.copyOf(file.tensors().keySet());
        for (var part : stepper.parameters()) {
            assertThat(values(part)).as("%s after step %d", file, t)
                    .containsExactly(optimizer.parameter(names.indexOf(part.key())));
        }
        for (var part : stepper.slots()) {
            var key = part.key().split("#");
            assertThat(values(part)).as("%s after step %d: %s", file, t, part.key())
                    .containsExactly(optimizer.slot(key[1], Math.max(0, names.indexOf(key[0]))));
        }
    }

    private static double[] values(StatePart part) {
        if (part.dtype() == DType.F64) {
            return Values.doubles(part.array());
        }
        var floats = Values.floats(part.array());
        return IntStream.range(0, floats.length).mapToDouble(i -> floats[i]).toArray();
    }
}
