package dev.stepd.device.cuda;

import java.util.Collection;
import java.util.Comparator;
import java.util.Set;

/// What kernels are compiled for.
///
/// @param capability compute capability, 90 for 9.0
/// @param code machine code of the capability rather than PTX, which the driver compiles for its device
record Architecture(int capability, boolean code) {
    /// Modules on a board with the processor, whose code no other GPU runs.
    private static final Set<Integer> EMBEDDED = Set.of(53, 62, 72, 87, 88, 101, 110);

    /// The best for a device: its own machine code, that of an earlier sister (code for 8.0 runs on 8.9), or PTX of the newest
    /// the compiler knows.
    ///
    /// @param capability of the device
    /// @param compilable capabilities that the compiler has
    /// @throws MissingCuda if the device is older than all of them
    static Architecture best(int capability, Collection<Integer> compilable) {
        var newest = compilable.stream()
                .filter(other -> other == capability || other < capability && !EMBEDDED.contains(other))
                .max(Comparator.naturalOrder())
                .orElseThrow(() -> new MissingCuda("NVRTC compiles for compute capability " + version(compilable.stream()
                        .min(Comparator.naturalOrder()).orElse(0)) + " and newer, the device has " + version(capability)
                        + "; install cuda-nvrtc of an earlier CUDA"));
        boolean sameFamily = newest / 10 == capability / 10 && (newest == capability || !EMBEDDED.contains(capability));
        return new Architecture(newest, sameFamily);
    }

    /// As compilers name it: `sm_90`, `compute_90`.
    @Override
    public String toString() {
        return (code ? "sm_" : "compute_") + capability;
    }

    private static String version(int capability) {
        return capability / 10 + "." + capability % 10;
    }
}
