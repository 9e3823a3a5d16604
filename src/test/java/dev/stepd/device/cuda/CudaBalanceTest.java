package dev.stepd.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.engine.BulkTraining;
import dev.stepd.engine.CudaSubjects;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;

/// What sessions took of a device they have given back when they are gone: as the driver counts it, and as the budget does.
@Tag("gpu")
@Isolated("others would take memory meanwhile")
class CudaBalanceTest {
    private static final int SESSIONS = 100;

    @Test
    void deletedSessionsLeaveNothing() {
        var device = CudaSubjects.device();
        CudaSubjects.some().forEach(optimizer -> live(device, optimizer)); // modules and streams stay, once for all
        long budget = device.memory().freeBytes();
        long free = device.context().freeBytes();
        var optimizers = CudaSubjects.some().toList();
        for (int i = 0; i < SESSIONS; i++) {
            live(device, optimizers.get(i % optimizers.size()));
        }
        device.context().synchronize();
        assertThat(device.context().freeBytes()).isEqualTo(free);
        assertThat(device.memory().freeBytes()).isEqualTo(budget);
    }

    private static void live(CudaDevice device, Map<String, Object> optimizer) {
        try (var session = new BulkTraining(device, CudaSubjects.tensors(), optimizer, 3)) {
            session.steps(2);
        }
    }
}
