package dev.stepd.engine;

import dev.stepd.device.cuda.CudaDevice;
import dev.stepd.device.cuda.ShimDevices;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import dev.stepd.tensor.TensorSpec;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;

/// What tests of CUDA sessions train: on a GPU millions of elements and every optimizer in every format, over the shim a few
/// small ones, since tests of their own hold all of them there.
public final class CudaSubjects {
    private CudaSubjects() {}

    /// Skips the test where there is no device.
    public static CudaDevice device() {
        var device = ShimDevices.shared();
        Assumptions.assumeTrue(device.isPresent(), "there is no CUDA device and no shim");
        return device.orElseThrow();
    }

    /// Whether the device is no processor in disguise, which would be at it for hours.
    private static boolean isLarge() {
        return ShimDevices.shared().filter(device -> device.properties().multiprocessors() >= 16).isPresent();
    }

    /// A large matrix, a vector of prime length, a convolution, odd sizes, one element, and none.
    public static List<TensorSpec> tensors() {
        return isLarge()
                ? tensors(new long[][] {{1024, 1000}, {1_000_003}, {61, 3, 7, 5}, {0, 4}, {257, 1025}, {}, {65_537}, {33, 9}, {1, 4099}})
                : tensors(new long[][] {{40, 37}, {3_001}, {5, 3, 7, 5}, {0, 4}, {}, {33, 9}});
    }

    private static List<TensorSpec> tensors(long[][] shapes) {
        return Stream.of(shapes).map(shape -> new TensorSpec("t" + List.of(shapes).indexOf(shape), Shape.of(shape), DType.F32)).toList();
    }

    /// Every rule as it is and with what it can switch on, presets and compositions, and every rule in every format.
    static Stream<Map<String, Object>> every() {
        return isLarge() ? Stream.concat(Training.optimizers(), EveryFormatTest.optimizers()) : some();
    }

    /// Elementwise, with sums over tensors, rows and columns, over the session, in codes, and random.
    public static Stream<Map<String, Object>> some() {
        return Stream.of(
                Map.of("name", "adamw"),
                Map.of("name", "lamb", "weight_decay", 0.1),
                Map.of("name", "novograd"),
                Map.of("name", "scale"),
                Map.of("name", "subset_norm"),
                Map.of("name", "prodigy"),
                EveryFormatTest.kept(Map.of("name", "adamw"), "int8"),
                EveryFormatTest.kept(Map.of("name", "adamw"), "bf16"),
                EveryFormatTest.kept(Map.of("name", "lion"), "int4"));
    }
}
