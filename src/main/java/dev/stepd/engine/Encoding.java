package dev.stepd.engine;

import dev.stepd.device.Array;
import dev.stepd.device.Body;
import dev.stepd.device.Device;
import dev.stepd.device.HostRegion;
import java.util.List;
import java.util.Map;

/// Gives slots of a stepper values as rules know them, whatever they are kept in. Has the memory that values go through, so that
/// want of it shows before anything changes.
public final class Encoding implements AutoCloseable {
    private static final long SLACK_BYTES = 64;

    private final List<Partition> partitions;
    private final HostRegion memory;
    private final Body body;

    /// @throws dev.stepd.error.ServiceException `OUT_OF_MEMORY`
    Encoding(Device device, List<Partition> partitions) {
        this.partitions = List.copyOf(partitions);
        long most = partitions.stream().mapToLong(Partition::plainBytesEach).max().orElse(0) + SLACK_BYTES;
        memory = device.host().allocate(most, "a slot in f32");
        try {
            body = device.body(most, "a slot in f32");
        } catch (RuntimeException e) {
            memory.close();
            throw e;
        }
        body.hold(memory.segment());
    }

    /// @param values of [Stepper#plainSpecs], by their names; slots that are not there stay
    public void take(Map<String, Array> values) {
        for (var partition : partitions) {
            partition.takePlain(values, memory.segment(), body);
            partition.arrays().sharedSlots().stream().filter(part -> values.containsKey(part.key())).forEach(part ->
                    StateArrays.copy(values.get(part.key()), part.array()));
        }
    }

    @Override
    public void close() {
        body.close();
        memory.close();
    }
}
