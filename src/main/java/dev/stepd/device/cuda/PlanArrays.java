package dev.stepd.device.cuda;

import dev.stepd.codegen.cuda.CudaProgram;
import dev.stepd.codegen.cuda.CudaProgram.Pointer;
import dev.stepd.device.Array;
import dev.stepd.device.Domain;
import dev.stepd.device.Extents;
import dev.stepd.device.HostArray;
import dev.stepd.device.Region;
import dev.stepd.device.Spans;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.stage.Stage;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Where the arrays of a bound plan are on the device: those it was given, those it keeps for itself, and images of those in
/// main memory, which are copied in before every run and out after it.
final class PlanArrays implements AutoCloseable {
    private static final long ALIGNMENT_BYTES = 256;
    /// Host arrays so close together are copied as one.
    private static final long GAP_BYTES_MAX = 1024;

    /// Neighbouring arrays in main memory.
    ///
    /// @param written whether the plan writes any of them
    private record Image(long host, long device, long bytes, boolean written) {}

    private final CudaDevice device;
    private final Domain domain;
    private final Map<Pointer, Long> addresses = new HashMap<>();
    private final List<Image> images = new ArrayList<>();
    private final List<Buffer> extents = new ArrayList<>();
    /// Values of tensors that a kernel folds: absent tensors hold the identity there.
    private final Map<Buffer, Double> folded = new LinkedHashMap<>();
    private final Map<Buffer, MemorySegment> inHost = new LinkedHashMap<>();
    private final Region own;
    private long tensors;
    private long taken;

    PlanArrays(CudaDevice device, CudaProgram program, Domain domain, Map<Buffer, Array> given, Map<Buffer, Long> inBody) {
        this.device = device;
        this.domain = domain;
        long bytes = room(Table.TENSOR_BYTES * (long) domain.tensors().size());
        var mine = new ArrayList<Pointer>();
        var hosts = new ArrayList<Buffer>();
        for (var pointer : program.pointers()) {
            if (pointer instanceof Pointer.Array(Buffer buffer) && given.containsKey(buffer)) {
                switch (given.get(buffer)) {
                    case CudaArray array -> addresses.put(pointer, checked(buffer, array).address());
                    case HostArray array -> {
                        inHost.put(buffer, checked(buffer, array).segment());
                        hosts.add(buffer);
                    }
                    default -> throw new IllegalStateException(buffer + " lies on another device");
                }
            } else if (!(pointer instanceof Pointer.Array(Buffer buffer) && inBody.containsKey(buffer))) {
                mine.add(pointer);
                bytes += room(bytes(pointer));
            }
        }
        var clusters = clusters(hosts);
        for (var cluster : clusters) {
            bytes += room(span(cluster));
        }
        own = device.memory().allocate(bytes, "a step's own arrays");
        try {
            mine.forEach(this::place);
            clusters.forEach(cluster -> image(cluster, program));
            findFolded(program);
            writeTensors();
        } catch (RuntimeException e) {
            own.close();
            throw e;
        }
    }

    private <A extends Array> A checked(Buffer buffer, A array) {
        if (array.byteSize() < domain.bytes(buffer)) {
            throw new IllegalStateException(buffer + " needs " + domain.bytes(buffer) + " bytes, got " + array.byteSize());
        }
        return array;
    }

    private static long room(long bytes) {
        return Math.ceilDiv(bytes, ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    }

    private long bytes(Pointer pointer) {
        return switch (pointer) {
            case Pointer.Array(Buffer buffer) -> {
                if (buffer.kind() != Buffer.Kind.TEMP && buffer.kind() != Buffer.Kind.EXTENT) {
                    throw new IllegalStateException("nobody gave " + buffer);
                }
                yield domain.bytes(buffer);
            }
            case Pointer.FirstBlocks _, Pointer.FirstBytes _ -> Long.BYTES * (domain.tensors().size() + 1L);
        };
    }

    private long take(long bytes) {
        long at = ((CudaArray) own.array()).address() + taken;
        taken += room(bytes);
        return at;
    }

    private void place(Pointer pointer) {
        long at = take(bytes(pointer));
        addresses.put(pointer, at);
        switch (pointer) {
            case Pointer.Array(Buffer buffer) -> {
                if (buffer.kind() == Buffer.Kind.EXTENT) {
                    extents.add(buffer);
                }
            }
            case Pointer.FirstBlocks(int size) -> write(at, domain.starts(Scope.block(size)));
            case Pointer.FirstBytes() ->
                write(at, domain.byteStarts(new Buffer(Buffer.Kind.TEMP, "halves", Scope.ELEMENT, Type.I4)));
        }
    }

    private void write(long address, long[] numbers) {
        var table = new Table(Long.BYTES);
        for (long number : numbers) {
            table.number(number);
        }
        device.transfers().write(address, table.rows());
    }

    private void writeTensors() {
        var table = new Table(Table.TENSOR_BYTES);
        var elements = domain.starts(Scope.ELEMENT);
        var rows = domain.starts(Scope.ROW);
        var columns = domain.starts(Scope.COLUMN);
        for (int i = 0; i < domain.tensors().size(); i++) {
            var tensor = domain.tensors().get(i);
            // kernels divide by them, of tensors of nothing as well
            long wide = Math.max(1, tensor.columns());
            table.tensor(tensor.elements(), Math.max(1, tensor.rows()), wide, elements[i], rows[i], columns[i], tensor.group(),
                    tensor.origin());
        }
        tensors = take(table.byteSize());
        device.transfers().write(tensors, table.rows());
    }

    /// Arrays in main memory by neighbourhood.
    private List<List<Buffer>> clusters(List<Buffer> hosts) {
        var clusters = new ArrayList<List<Buffer>>();
        hosts.sort(java.util.Comparator.comparingLong(buffer -> inHost.get(buffer).address()));
        long end = Long.MIN_VALUE;
        for (var buffer : hosts) {
            long start = inHost.get(buffer).address();
            if (clusters.isEmpty() || start - end > GAP_BYTES_MAX) {
                clusters.add(new ArrayList<>());
            }
            clusters.getLast().add(buffer);
            end = start + domain.bytes(buffer);
        }
        return clusters;
    }

    private long span(List<Buffer> cluster) {
        var last = cluster.getLast();
        return inHost.get(last).address() + domain.bytes(last) - inHost.get(cluster.getFirst()).address();
    }

    private void image(List<Buffer> cluster, CudaProgram program) {
        long start = inHost.get(cluster.getFirst()).address();
        long bytes = span(cluster);
        long at = take(bytes);
        boolean written = false;
        for (var buffer : cluster) {
            addresses.put(new Pointer.Array(buffer), at + inHost.get(buffer).address() - start);
            written |= outputs(program).stream().anyMatch(output -> output.target().equals(buffer));
        }
        images.add(new Image(start, at, bytes, written));
    }

    private static List<Stage.Output> outputs(CudaProgram program) {
        return program.kernels().stream()
                .flatMap(kernel -> kernel.stages().stream())
                .flatMap(stage -> stage.outputs().stream())
                .toList();
    }

    private void findFolded(CudaProgram program) {
        for (var kernel : program.kernels()) {
            for (var stage : kernel.stages()) {
                if (stage.folds() && stage.scope().equals(Scope.TENSOR)) {
                    stage.outputs().forEach(output ->
                            folded.put(((Expr.Read) output.value()).buffer(), ((Stage.Fold) output).op().identity()));
                }
            }
        }
    }

    /// What depends on who takes part.
    void cut(Spans spans) {
        try (var arena = Arena.ofConfined()) {
            for (var buffer : extents) {
                var values = arena.allocate(Math.max(8, domain.bytes(buffer)), 8);
                Extents.fill(values, buffer.scope(), domain, spans);
                device.transfers().write(addresses.get(new Pointer.Array(buffer)), values.asSlice(0, domain.bytes(buffer)));
            }
            folded.forEach((buffer, identity) -> {
                // of present tensors, too: theirs are written before they are folded
                var values = inHost.containsKey(buffer) ? inHost.get(buffer) : arena.allocate(Math.max(8, domain.bytes(buffer)), 8);
                fill(values, buffer.storage(), domain.count(buffer.scope()), identity);
                if (!inHost.containsKey(buffer)) {
                    device.transfers().write(addresses.get(new Pointer.Array(buffer)), values.asSlice(0, domain.bytes(buffer)));
                }
            });
        }
    }

    private static void fill(MemorySegment values, Type type, long count, double value) {
        for (long i = 0; i < count; i++) {
            if (type == Type.F32) {
                values.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) value);
            } else {
                values.setAtIndex(ValueLayout.JAVA_DOUBLE, i, value);
            }
        }
    }

    /// The device's address of what kernels are pointed to.
    long address(Pointer pointer) {
        return addresses.get(pointer);
    }

    /// Whether the array is in main memory, and has an image here.
    boolean isInHost(Buffer buffer) {
        return inHost.containsKey(buffer);
    }

    /// Where it is there.
    long hostAddress(Buffer buffer) {
        return inHost.get(buffer).address();
    }

    /// Whether all of them are in memory that the device addresses.
    boolean isPinned() {
        return inHost.values().stream().allMatch(segment -> device.pinned().contains(segment));
    }

    /// Whether this has an address for a pointer: all but for what comes with a step.
    boolean isKnown(Pointer pointer) {
        return addresses.containsKey(pointer);
    }

    /// The address of the table of tensors.
    long tensors() {
        return tensors;
    }

    void copyIn(CudaStream stream) {
        for (int i = 0; i < images.size(); i++) { // an iterator would be an object in every step
            stream.copyIn(images.get(i).device, images.get(i).host, images.get(i).bytes);
        }
    }

    void copyOut(Streams streams) {
        for (int i = 0; i < images.size(); i++) {
            if (images.get(i).written) {
                streams.out().copyOut(images.get(i).host, images.get(i).device, images.get(i).bytes);
            }
        }
    }

    @Override
    public void close() {
        own.close();
    }
}
