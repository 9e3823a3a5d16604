package dev.stepd.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.device.Device;
import dev.stepd.device.DistantDevice;
import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import dev.stepd.tensor.TensorSpec;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// Which device a session gets.
class DevicesTest {
    private static final long SMALL_BYTES = 1 << 16;
    private static final long LARGE_BYTES = 1 << 20;
    private static final String NO_DRIVER = "no NVIDIA driver: libcuda.so.1 was not found; install the NVIDIA driver";

    private final CpuDevice cpu = new CpuDevice(1 << 24, 1);
    private final Device small = new DistantDevice("cuda:0", SMALL_BYTES, cpu.host());
    private final Device large = new DistantDevice("cuda:1", LARGE_BYTES, cpu.host());
    private final Engine several = new Engine(new Devices(List.of(small, large, cpu), "there are some"));
    private final Engine plain = new Engine(new Devices(List.of(cpu), NO_DRIVER));

    @AfterEach
    void close() {
        several.close();
    }

    private static Engine.Blueprint session(long bytes) {
        var tensors = List.of(new TensorSpec("w", Shape.of(bytes / Float.BYTES), DType.F32));
        return new Engine.Blueprint(tensors, Map.of("name", "sgd"), List.of(), null, null, Engine.NonFinite.REJECT);
    }

    private static String placed(Engine engine, long bytes, String asked) {
        try (var stepper = engine.create(session(bytes), asked)) {
            return stepper.deviceName();
        }
    }

    @Test
    void autoTakesTheOneWithMostRoomAndTheProcessorWhenNoneHasAny() {
        assertThat(placed(several, 1000, "auto")).isEqualTo("cuda:1");
        var hog = large.memory().allocate(LARGE_BYTES - SMALL_BYTES / 2, "a hog");
        assertThat(placed(several, 1000, "auto")).isEqualTo("cuda:0");
        hog.close();
        assertThat(placed(several, 2 * LARGE_BYTES, "auto")).isEqualTo("cpu");
        assertThat(placed(plain, 1000, "auto")).isEqualTo("cpu");
    }

    @Test
    void aKindTakesTheFirstWithRoom() {
        assertThat(placed(several, 1000, "cuda")).isEqualTo("cuda:0");
        assertThat(placed(several, SMALL_BYTES, "cuda")).isEqualTo("cuda:1");
        assertRefused(() -> placed(several, 2 * LARGE_BYTES, "cuda"), ErrorCode.OUT_OF_MEMORY, "bytes of memory");
    }

    @Test
    void aNameTakesThatOneOrNone() {
        assertThat(placed(several, 1000, "cuda:0")).isEqualTo("cuda:0");
        assertThat(placed(several, 1000, "cpu")).isEqualTo("cpu");
        assertRefused(() -> placed(several, SMALL_BYTES, "cuda:0"), ErrorCode.OUT_OF_MEMORY, "are free");
    }

    @Test
    void whatIsNotThereIsRefusedWithWhatIsAndWhy() {
        assertRefused(() -> placed(several, 1000, "cuda:7"), ErrorCode.DEVICE_UNAVAILABLE,
                "device is cuda:7, this server has [cuda:0, cuda:1, cpu]");
        assertRefused(() -> placed(plain, 1000, "cuda"), ErrorCode.DEVICE_UNAVAILABLE,
                "device is cuda, this server has [cpu]: " + NO_DRIVER);
        assertRefused(() -> placed(plain, 1000, "cuda:1"), ErrorCode.DEVICE_UNAVAILABLE, NO_DRIVER);
        assertRefused(() -> placed(several, 1000, "cuda:x"), ErrorCode.INVALID_VALUE,
                "device is cuda:x, expected auto, cpu, cuda or cuda:<number>");
        assertRefused(() -> placed(plain, 1000, "tpu"), ErrorCode.INVALID_VALUE,
                "did you mean \"cpu\"?; this server has [cpu]");
    }

    @Test
    void whatDidNotFitLeavesNothingBehind() {
        long free = small.memory().freeBytes();
        assertThat(placed(several, SMALL_BYTES, "cuda")).isEqualTo("cuda:1");
        assertThat(small.memory().freeBytes()).isEqualTo(free);
        assertThat(large.memory().freeBytes()).isEqualTo(LARGE_BYTES);
        assertThat(cpu.memory().freeBytes()).isEqualTo(cpu.memory().capacityBytes());
    }

    private static void assertRefused(Runnable call, ErrorCode code, String message) {
        assertThatThrownBy(call::run)
                .satisfies(e -> assertThat(((ServiceException) e).code()).isEqualTo(code))
                .hasMessageContaining(message);
    }
}
