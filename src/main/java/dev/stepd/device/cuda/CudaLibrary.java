package dev.stepd.device.cuda;

import java.util.List;

/// Whether this machine has GPUs that can be used. Found out without ever failing: what is missing becomes a sentence.
public sealed interface CudaLibrary {
    /// @param driver version of CUDA up to which the driver goes, 12060 for 12.6
    /// @param devices at least one
    record Present(int driver, List<DeviceProperties> devices, Nvrtc nvrtc) implements CudaLibrary {
        public Present {
            devices = List.copyOf(devices);
        }
    }

    /// @param reason one sentence: what is missing and what to do
    record Absent(String reason) implements CudaLibrary {}

    /// Looks at the machine. Takes milliseconds without a GPU, up to a second with one.
    static CudaLibrary find() {
        return CudaProbe.find(NvrtcSearch.ofSystem());
    }
}
