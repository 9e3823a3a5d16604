package dev.stepd.device.cuda;

import dev.stepd.device.BoundPlan;
import dev.stepd.engine.DeviceSubject;
import dev.stepd.engine.Engine;
import dev.stepd.tensor.Shape;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/// What the kernels of an update took.
///
/// @param bytes that they read and write
/// @param kernels what they are made of
record KernelRun(String name, long elements, double millis, long bytes, List<Resources> kernels) {
    /// @param localBytes memory of each thread: what did not fit its registers
    record Resources(String name, int registers, int localBytes) {
        @Override
        public String toString() {
            return name + " " + registers + (localBytes == 0 ? "" : " + " + localBytes + " B");
        }
    }

    /// @param description of the optimizer
    static KernelRun of(String name, CudaDevice device, GpuTimer timer, Map<String, Object> description, Shape shape) {
        try (var subject = new DeviceSubject(device, description, shape, Engine.NonFinite.REJECT)) {
            return update(name, device, timer, subject);
        }
    }

    static KernelRun update(String name, CudaDevice device, GpuTimer timer, DeviceSubject subject) {
        return of(name, device, timer, subject, subject.update(), Traffic.bytes(subject.plan(), subject.domain()));
    }

    /// The pass that tells the gradient's norm: it reads the gradient once.
    static KernelRun measure(CudaDevice device, GpuTimer timer, DeviceSubject subject) {
        long bytes = subject.domain().tensors().getFirst().elements() * Float.BYTES;
        return of("gradient norm", device, timer, subject, subject.measure(), bytes);
    }

    /// Every run has gradients of its own, from a second buffer of the device, whose copy also leaves nothing else in the cache.
    private static KernelRun of(
            String name, CudaDevice device, GpuTimer timer, DeviceSubject subject, BoundPlan bound, long bytes) {
        var plan = (CudaPlan) bound;
        var image = (CudaBody) subject.body();
        try (var saved = device.memory().allocate(subject.bodyBytes(), "gradients to run again with")) {
            var array = (CudaArray) saved.array();
            array.write(0, subject.host().asSlice(0, subject.bodyBytes()));
            plan.copyIn(subject.spans(), timer.stream());
            timer.stream().synchronize();
            double millis = timer.millis(
                    stream -> stream.copy(image.address(), array.address(), subject.bodyBytes()),
                    stream -> plan.compute(image, stream));
            return new KernelRun(name, subject.domain().tensors().getFirst().elements(), millis, bytes, kernels(plan));
        }
    }

    private static List<Resources> kernels(CudaPlan plan) {
        return plan.functions().stream()
                .map(function -> new Resources(function.name(), function.registers(), function.localBytes()))
                .toList();
    }

    /// `registers: fold0 32, join0 24, pass1 40 + 16 B`.
    String kernelList() {
        return "registers: " + kernels.stream().map(Resources::toString).collect(Collectors.joining(", "));
    }

    /// `4 kernels, 40 registers, 16 B local`: the most of each.
    String kernelSummary() {
        int registers = kernels.stream().mapToInt(Resources::registers).max().orElse(0);
        int local = kernels.stream().mapToInt(Resources::localBytes).max().orElse(0);
        return "%d %s, %d registers%s".formatted(kernels.size(), kernels.size() == 1 ? "kernel" : "kernels", registers,
                local == 0 ? "" : ", " + local + " B local");
    }

    double gigabytesPerSecond() {
        return bytes / millis / 1e6;
    }

    /// `1.082 ms, 2957 GB/s`.
    String speed() {
        return "%.3f ms, %,.0f GB/s".formatted(millis, gigabytesPerSecond());
    }

    /// `0.011 ns, 32.0 B, 2957 GB/s, 95 %`.
    String each(double ceiling) {
        return "%.4f ns, %.1f B, %,.0f GB/s, %.0f %%".formatted(millis * 1e6 / elements, (double) bytes / elements,
                gigabytesPerSecond(), 100 * gigabytesPerSecond() / ceiling);
    }
}
