package dev.stepd.device;

import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.stage.Plan;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;

/// A device whose memory the host cannot address: it computes as the processor does, over memory of its own that nothing is told
/// of. Bodies are fetched when a plan first runs over them, and what plans write is sent back.
public final class DistantDevice implements Device {
    private final String name;
    private final CpuDevice inner;
    private final HostMemory host;
    private final AtomicLong fetchedEarly = new AtomicLong();

    /// @param memoryBytes of the device, apart from `host`
    /// @param host main memory, which stays the caller's
    public DistantDevice(String name, long memoryBytes, HostMemory host) {
        this.name = name;
        this.inner = new CpuDevice(memoryBytes, 2);
        this.host = host;
    }

    /// The only device, with main memory of its own.
    public static DistantDevice alone(long memoryBytes) {
        return new DistantDevice("cuda:0", memoryBytes, new CpuDevice(memoryBytes, 1).host());
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public Memory memory() {
        return new DistantMemory(inner.memory());
    }

    @Override
    public HostMemory host() {
        return host;
    }

    @Override
    public Body body(long bytes, String purpose) {
        return new DistantBody(inner, inner.memory().allocate(bytes, purpose), bytes, fetchedEarly);
    }

    @Override
    public BoundPlan bind(Plan plan, Domain domain, Map<Buffer, Array> arrays, Map<Buffer, Long> inBody) {
        var given = new HashMap<Buffer, Array>();
        var mirrors = new LinkedHashMap<Buffer, Mirror>();
        try {
            arrays.forEach((buffer, array) -> given.put(buffer, switch (array) {
                case DistantArray(var segment) -> new HostArray(segment);
                case HostArray(var segment) -> {
                    var region = inner.memory().allocate(segment.byteSize(), "a mirror");
                    mirrors.put(buffer, new Mirror(segment, region));
                    yield region.array();
                }
                default -> throw new IllegalStateException(array + " is no memory of " + name);
            }));
            return new DistantPlan(plan, domain, inBody, mirrors, inner.bind(plan, domain, given, inBody));
        } catch (RuntimeException e) {
            mirrors.values().forEach(mirror -> mirror.there.close());
            throw e;
        }
    }

    /// Bytes of bodies that were fetched before a plan ran over them.
    public long fetchedEarly() {
        return fetchedEarly.get();
    }

    @Override
    public long compilations() {
        return inner.compilations();
    }

    @Override
    public void close() {
        inner.close();
    }

    /// Values the host shares with a plan, and where the plan has them.
    private record Mirror(MemorySegment here, HostRegion there) {}

    private record DistantMemory(HostMemory inner) implements Memory {
        @Override
        public Region allocate(long bytes, String purpose) {
            var region = inner.allocate(bytes, purpose);
            var array = new DistantArray(region.segment());
            return new Region() {
                @Override
                public Array array() {
                    return array;
                }

                @Override
                public void close() {
                    region.close();
                }
            };
        }

        @Override
        public long capacityBytes() {
            return inner.capacityBytes();
        }

        @Override
        public long freeBytes() {
            return inner.freeBytes();
        }
    }

    private record DistantArray(MemorySegment segment) implements Array {
        @Override
        public long byteSize() {
            return segment.byteSize();
        }

        @Override
        public Array slice(long offset, long bytes) {
            return new DistantArray(segment.asSlice(offset, bytes));
        }

        @Override
        public void read(long offset, MemorySegment into) {
            requireNative(into);
            MemorySegment.copy(segment, offset, into, 0, into.byteSize());
        }

        @Override
        public void write(long offset, MemorySegment from) {
            requireNative(from);
            MemorySegment.copy(from, 0, segment, offset, from.byteSize());
        }
    }

    private static void requireNative(MemorySegment segment) {
        if (!segment.isNative()) {
            throw new IllegalStateException("no device copies from or to the heap: " + segment);
        }
    }

    private static final class DistantBody implements Body {
        private final Body inner;
        private final HostRegion there;
        private final long bytes;
        private final AtomicLong fetchedEarly;
        private MemorySegment here = MemorySegment.NULL;
        private long fetched;

        DistantBody(CpuDevice device, HostRegion there, long bytes, AtomicLong fetchedEarly) {
            this.fetchedEarly = fetchedEarly;
            this.inner = device.body(bytes, "a body");
            this.there = there;
            this.bytes = bytes;
            inner.hold(there.segment());
        }

        @Override
        public void hold(MemorySegment host) {
            requireNative(host);
            if (host.byteSize() < bytes && !host.equals(MemorySegment.NULL)) {
                throw new IllegalStateException("a body of " + bytes + " bytes has " + host.byteSize());
            }
            here = host;
            fetched = 0;
        }

        @Override
        public void arrived(long end) {
            fetchedEarly.addAndGet(Math.max(0, end - fetched));
            fetch(end);
        }

        void fetch(long end) {
            if (end > fetched) {
                MemorySegment.copy(here, fetched, there.segment(), fetched, end - fetched);
                fetched = end;
            }
        }

        void sendBack(long offset, long count) {
            MemorySegment.copy(there.segment(), offset, here, offset, count);
        }

        @Override
        public void close() {
            inner.close();
            there.close();
        }
    }

    private static final class DistantPlan implements BoundPlan {
        private final Map<Buffer, Mirror> mirrors;
        private final BoundPlan inner;
        private final List<Mirror> written = new ArrayList<>();
        private final List<long[]> sentBack = new ArrayList<>();

        DistantPlan(
                Plan plan, Domain domain, Map<Buffer, Long> inBody, Map<Buffer, Mirror> mirrors, BoundPlan inner) {
            this.mirrors = mirrors;
            this.inner = inner;
            for (var stage : plan.stages()) {
                for (var output : stage.outputs()) {
                    var target = output.target();
                    if (inBody.containsKey(target)) {
                        sentBack.add(new long[] {inBody.get(target), domain.bytes(target)});
                    } else if (mirrors.containsKey(target)) {
                        written.add(mirrors.get(target));
                    }
                }
            }
        }

        @Override
        public void prepare(Spans spans) {
            inner.prepare(spans);
        }

        @Override
        public void run(Spans spans, Body body) {
            var distant = (DistantBody) body;
            distant.fetch(distant.here.equals(MemorySegment.NULL) ? 0 : distant.bytes);
            mirrors.values().forEach(mirror -> mirror.there.array().write(0, mirror.here));
            inner.run(spans, distant.inner);
            written.forEach(mirror -> mirror.there.array().read(0, mirror.here));
            sentBack.forEach(stretch -> distant.sendBack(stretch[0], stretch[1]));
        }

        @Override
        public void close() {
            inner.close();
            mirrors.values().forEach(mirror -> mirror.there.close());
        }
    }
}
