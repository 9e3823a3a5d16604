package dev.stepd.compiler;

import dev.stepd.device.Array;
import dev.stepd.device.Device;
import dev.stepd.device.Domain;
import dev.stepd.device.HostArray;
import dev.stepd.device.Memory;
import dev.stepd.device.Region;
import dev.stepd.device.Spans;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.Interpreter;
import dev.stepd.expr.Program;
import dev.stepd.expr.Scalar;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.stage.Plan;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// A world carried to a device, stepped there and carried back.
final class Compiled implements AutoCloseable {
    /// Bytes after every array that must stay as they are: kernels read there and may not write.
    private static final int FENCE_BYTES = 192;
    private static final byte FENCE = (byte) 0xfe;

    private final World world;
    private final Plan plan;
    private final List<Region> regions = new ArrayList<>();
    /// Bytes of each region before its fence.
    private final List<Long> sizes = new ArrayList<>();
    private final Map<Buffer, Array> arrays = new LinkedHashMap<>();
    private final Device device;
    private final Arena arena = Arena.ofConfined();

    private Compiled(Device device, Plan plan, World world) {
        this.device = device;
        this.plan = plan;
        this.world = world;
    }

    /// The arrays as the device leaves them after a number of steps with the same host values.
    static World run(Device device, Plan plan, World world, int steps) {
        try (var compiled = new Compiled(device, plan, world)) {
            return compiled.step(steps);
        }
    }

    private World step(int steps) {
        world.arrays().forEach((buffer, values) -> {
            if (buffer.kind() != Buffer.Kind.DELTA && buffer.kind() != Buffer.Kind.GRAD) {
                arrays.put(buffer, upload(device.memory(), buffer, values));
            }
        });
        for (var host : plan.hosts()) {
            arrays.put(host.target(), upload(device.host(), host.target(), host(host)));
        }
        var gradients = world.arrays().keySet().stream()
                .filter(b -> b.kind() == Buffer.Kind.GRAD)
                .findFirst()
                .map(b -> upload(device.host(), b, world.arrays().get(b)))
                .orElseGet(() -> upload(
                        device.host(), new Buffer(Buffer.Kind.GRAD, "grad", Scope.ELEMENT, Type.F64), new long[0]));
        try (var bound = device.bind(plan, domain(world.extents()), arrays);
                var body = device.body(gradients.byteSize(), "a test's gradients")) {
            var spans = spans(world.extents());
            body.hold(((HostArray) gradients).segment());
            for (int i = 0; i < steps; i++) {
                bound.run(spans, body);
            }
        }
        checkFences();
        return download(gradients);
    }

    private Array upload(Memory memory, Buffer buffer, long[] values) {
        long size = buffer.storage() == Type.I4 ? domain(world.extents()).bytes(buffer) : buffer.storage().bytes(values.length);
        var region = memory.allocate(size + FENCE_BYTES, "a test's array");
        regions.add(region);
        sizes.add(size);
        region.array().write(0, image(buffer, values, size));
        return region.array().slice(0, size + 64);
    }

    private MemorySegment image(Buffer buffer, long[] values, long size) {
        var segment = arena.allocate(size + FENCE_BYTES, 64);
        segment.fill(FENCE);
        if (buffer.storage() == Type.I4) {
            segment.asSlice(0, size).fill((byte) 0);
        }
        for (int i = 0; i < values.length; i++) {
            switch (buffer.storage().bits()) {
                case 4 -> {
                    long at = place(buffer, i);
                    byte shared = segment.get(ValueLayout.JAVA_BYTE, at / 2);
                    segment.set(ValueLayout.JAVA_BYTE, at / 2, (byte) (shared | values[i] << (at % 2 == 0 ? 4 : 0)));
                }
                case 8 -> segment.set(ValueLayout.JAVA_BYTE, i, (byte) values[i]);
                case 16 -> segment.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) values[i]);
                case 32 -> segment.setAtIndex(ValueLayout.JAVA_INT, i, (int) values[i]);
                default -> segment.setAtIndex(ValueLayout.JAVA_LONG, i, values[i]);
            }
        }
        return segment;
    }

    /// Halves of bytes before an element, of which every tensor begins with a whole one.
    private long place(Buffer buffer, int element) {
        var starts = domain(world.extents()).byteStarts(buffer);
        int before = 0;
        int tensor = 0;
        while (element - before >= world.extents().get(tensor).elements()) {
            before += world.extents().get(tensor++).elements();
        }
        return 2 * starts[tensor] + element - before;
    }

    /// What is left of a tensor's last byte is zero.
    private void checkPadding(Buffer buffer, MemorySegment segment) {
        var starts = domain(world.extents()).byteStarts(buffer);
        for (int tensor = 0; tensor + 1 < starts.length; tensor++) {
            if (world.extents().get(tensor).elements() % 2 == 1
                    && (segment.get(ValueLayout.JAVA_BYTE, starts[tensor + 1] - 1) & 0xf) != 0) {
                throw new AssertionError("half a byte of " + buffer + " is not zero after tensor " + tensor);
            }
        }
    }

    /// What the host computes, for the tensors that take part; NaN for the others, which nothing may read.
    private long[] host(Plan.HostValue host) {
        var values = new long[Interpreter.count(world.extents(), host.target().scope())];
        java.util.Arrays.fill(values, Scalar.of(Type.F64, Double.NaN));
        Interpreter.run(
                new Program(List.of(new Program.Assignment(host.target(), host.value()))),
                world.extents(),
                (name, group) -> world.hypers().get(name)[group],
                Map.of(host.target(), values));
        return values;
    }

    private void checkFences() {
        var fence = arena.allocate(FENCE_BYTES);
        for (int region = 0; region < regions.size(); region++) {
            regions.get(region).array().read(sizes.get(region), fence);
            for (long i = 0; i < FENCE_BYTES; i++) {
                if (fence.get(ValueLayout.JAVA_BYTE, i) != FENCE) {
                    throw new AssertionError("written past the end of an array of " + sizes.get(region) + " bytes");
                }
            }
        }
    }

    private World download(Array gradients) {
        var after = world.copy();
        after.arrays().forEach((buffer, values) -> {
            boolean perStep = buffer.kind() == Buffer.Kind.DELTA;
            if (buffer.kind() != Buffer.Kind.GRAD) {
                var array = perStep ? gradients : arrays.get(buffer);
                var from = arena.allocate(array.byteSize(), Long.BYTES);
                array.read(0, from);
                if (buffer.storage() == Type.I4) {
                    checkPadding(buffer, from);
                }
                for (int i = 0; i < values.length; i++) {
                    values[i] = switch (buffer.storage().bits()) {
                        case 4 -> from.get(ValueLayout.JAVA_BYTE, place(buffer, i) / 2)
                                >>> (place(buffer, i) % 2 == 0 ? 4 : 0) & 0xf;
                        case 8 -> from.get(ValueLayout.JAVA_BYTE, i) & 0xff;
                        case 16 -> from.getAtIndex(ValueLayout.JAVA_SHORT, i) & 0xffff;
                        case 32 -> from.getAtIndex(ValueLayout.JAVA_INT, i);
                        default -> from.getAtIndex(ValueLayout.JAVA_LONG, i);
                    };
                }
            }
        });
        return after;
    }

    static Domain domain(List<Interpreter.Extent> extents) {
        var tensors = extents.stream()
                .map(e -> new Domain.Tensor(e.elements(), e.slabs(), e.rows(), e.group(), e.origin()))
                .toList();
        return new Domain(tensors, Interpreter.count(extents, Scope.GROUP));
    }

    static Spans spans(List<Interpreter.Extent> extents) {
        var spans = new ArrayList<Spans.Span>();
        for (int from = 0; from < extents.size(); from++) {
            var first = extents.get(from);
            if (!first.present()) {
                continue;
            }
            int to = from + 1;
            while (to < extents.size() && alike(first, extents.get(to))) {
                to++;
            }
            spans.add(new Spans.Span(from, to));
            from = to - 1;
        }
        return new Spans(spans);
    }

    private static boolean alike(Interpreter.Extent a, Interpreter.Extent b) {
        return b.present() && a.group() == b.group() && a.step() == b.step();
    }

    @Override
    public void close() {
        regions.forEach(Region::close);
        arena.close();
    }
}
