package dev.stepd.device.cuda;

import static org.junit.platform.engine.discovery.ClassNameFilter.includeClassNamePatterns;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClasspathRoots;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Set;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.TagFilter;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/// `./stepd test --gpu [CLASS...]`: runs the tests tagged `gpu` on this machine's GPU, or fails with the reason when there is none.
/// Needs no Maven: a bundle runs it too.
public final class GpuTests {
    private GpuTests() {}

    /// @param args simple names of test classes; all when there are none
    public static void main(String[] args) {
        System.setProperty("stepd.test.cuda", "real");
        switch (CudaLibrary.find()) {
            case CudaLibrary.Absent(var reason) -> fail("no GPU to test on: " + reason);
            case CudaLibrary.Present library -> announce(library);
        }
        var report = new TestReport();
        LauncherFactory.create().execute(request(args), report);
        System.out.println(report.summary());
        if (!report.passed()) {
            fail("tests failed");
        }
        System.exit(0); // the devices' threads live on
    }

    private static LauncherDiscoveryRequest request(String[] classes) {
        return LauncherDiscoveryRequestBuilder.request()
                .selectors(selectClasspathRoots(Set.of(Path.of("target/test-classes"))))
                .filters(TagFilter.includeTags("gpu"))
                .filters(includeClassNamePatterns(classes.length == 0
                        ? new String[] {".*Test"}
                        : Arrays.stream(classes).map(name -> ".*\\." + name).toArray(String[]::new)))
                .build();
    }

    private static void announce(CudaLibrary.Present library) {
        library.devices().forEach(device -> System.out.printf("cuda:%d is %s, compute capability %d.%d, %d MiB%n", device.index(),
                device.name(), device.capability() / 10, device.capability() % 10, device.memoryBytes() >> 20));
        System.out.printf("driver for CUDA %s, NVRTC %s at %s%n", CudaProbe.version(library.driver()),
                CudaProbe.version(library.nvrtc().version()), library.nvrtc().file());
    }

    private static void fail(String message) {
        System.out.flush();
        System.err.println("stepd: " + message);
        System.exit(1);
    }
}
