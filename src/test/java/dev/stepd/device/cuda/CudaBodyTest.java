package dev.stepd.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.stepd.device.cuda.shim.CudaShim;
import java.lang.foreign.Arena;
import org.junit.jupiter.api.Test;

/// What a device's side of a body knows of the memory that it holds.
class CudaBodyTest {
    private static final long BYTES = 1 << 20;

    /// A kernel that addressed memory that is no longer pinned would cost the whole device.
    @Test
    void seesThatMemoryIsNotPinnedAnyMore() {
        assumeTrue(CudaShim.available(), "there is no shim");
        try (var device = ShimDevices.open().getFirst();
                var body = (CudaBody) device.body(BYTES, "a test's body");
                var other = Arena.ofConfined()) {
            var pinned = device.host().allocate(BYTES, "a test's memory");
            var memory = pinned.segment();
            body.hold(memory);
            assertThat(body.isPinned()).isTrue();
            pinned.close();
            assertThat(body.isPinned()).isFalse();
            body.hold(other.allocate(BYTES));
            assertThat(body.isPinned()).isFalse();
        }
    }
}
