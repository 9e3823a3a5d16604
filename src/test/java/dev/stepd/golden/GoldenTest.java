package dev.stepd.golden;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.stepd.device.Array;
import dev.stepd.device.Device;
import dev.stepd.device.DistantDevice;
import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.device.cuda.ShimDevices;
import dev.stepd.engine.Engine;
import dev.stepd.engine.Stepper;
import dev.stepd.engine.Values;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import dev.stepd.tensor.TensorSpec;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Every optimizer replays what its authors' own code did, through the engine on generated kernels.
class GoldenTest {
    static Stream<GoldenFile> files() {
        return GoldenFile.ofCatalogue();
    }

    @ParameterizedTest
    @MethodSource("files")
    void replaysOnTheEngine(GoldenFile file) {
        replays(file, new CpuDevice(1 << 28, 2));
    }

    static Stream<GoldenFile> firstOfEach() {
        return GoldenFile.firstOfEach();
    }

    /// Nothing reaches around the seam: the host cannot address this device's memory.
    @ParameterizedTest
    @MethodSource("firstOfEach")
    void replaysOnADeviceOfItsOwnMemory(GoldenFile file) {
        replays(file, DistantDevice.alone(1 << 28));
    }

    @Tag("gpu")
    @ParameterizedTest
    @MethodSource("files")
    void replaysOnCuda(GoldenFile file) {
        assumeTrue(ShimDevices.shared().isPresent(), "there is no CUDA device, nor a shim");
        replays(file, ShimDevices.open().getFirst());
    }

    private static void replays(GoldenFile file, Device device) {
        try (var engine = new Engine(device); var stepper = engine.create(blueprint(file))) {
            file.start(stepper);
            try (var body = stepper.hostMemory().allocate(stepper.body().byteCount(), "a body")) {
                var present = new BitSet();
                present.set(0, file.tensors().size());
                for (int t = 1; t <= file.steps(); t++) {
                    var given = file.fill(stepper, body.segment(), t);
                    assertThat(stepper.step(body.segment(), present, given)).isEqualTo(Stepper.Outcome.APPLIED);
                    check(file, stepper, t, body.segment());
                }
            }
        }
    }

    private static Engine.Blueprint blueprint(GoldenFile file) {
        var tensors = file.tensors().entrySet().stream()
                .map(e -> new TensorSpec(e.getKey(), new Shape(e.getValue()), DType.F32))
                .toList();
        return new Engine.Blueprint(
                tensors, file.description(), List.of(), null, null, Engine.NonFinite.REJECT);
    }

    private static void check(GoldenFile file, Stepper stepper, int t, MemorySegment body) {
        for (var part : stepper.parameters()) {
            Closeness.checkParameter(file, part.key(), t, Values.floats(part.array()));
        }
        new Kept(stepper, body).check(file, t);
    }

    /// What a stepper keeps.
    private record Kept(Stepper stepper, MemorySegment body) implements States {
        @Override
        public Optional<float[]> slot(String name, String tensor) {
            return stepper.slots().stream()
                    .filter(part -> part.key().equals(tensor + "#" + name))
                    .findFirst()
                    .map(part -> values(part.dtype(), part.array()));
        }

        @Override
        public Optional<float[]> average(String name, String tensor) {
            if (!stepper.averages().contains(name)) {
                return Optional.empty();
            }
            try (var arena = Arena.ofConfined()) {
                var other = arena.allocate(stepper.body().byteCount(), 64);
                stepper.average(name, other);
                return Optional.of(part(other, tensor));
            }
        }

        @Override
        public float[] delta(String tensor) {
            return part(body, tensor);
        }

        @Override
        public double gradNorm() {
            return stepper.lastGradNorm();
        }

        private float[] part(MemorySegment flat, String tensor) {
            return stepper.layout().places().stream()
                    .filter(place -> place.tensor().name().equals(tensor))
                    .map(p -> flat.asSlice(p.offset() * Float.BYTES, p.elementCount() * Float.BYTES))
                    .findFirst()
                    .orElseThrow()
                    .toArray(ValueLayout.JAVA_FLOAT);
        }
    }

    private static float[] values(DType dtype, Array data) {
        if (dtype == DType.F32) {
            return Values.floats(data);
        }
        var doubles = Values.doubles(data);
        var values = new float[doubles.length];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) doubles[i];
        }
        return values;
    }
}
