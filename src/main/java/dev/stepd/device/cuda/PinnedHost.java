package dev.stepd.device.cuda;

import dev.stepd.device.Budget;
import dev.stepd.device.HostArray;
import dev.stepd.device.HostMemory;
import dev.stepd.device.HostRegion;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

/// Main memory that a device copies from and to by itself, under a budget. To pin memory takes the driver long, so what is
/// small comes from slabs, and slabs stay.
final class PinnedHost implements HostMemory, AutoCloseable {
    private static final long SLACK_BYTES = 64;
    private static final long SMALL_BYTES_MIN = 256;
    private static final long SMALL_BYTES_MAX = 1 << 16;
    private static final long SLAB_BYTES = 1 << 20;
    private static final int CLASSES = Long.numberOfTrailingZeros(SMALL_BYTES_MAX / SMALL_BYTES_MIN) + 1;

    private final CudaDevice device;
    private final Budget budget;
    private final ArrayDeque<PinnedMemory> slabs = new ArrayDeque<>();
    /// By size, each twice the one before.
    private final ArrayDeque<MemorySegment>[] small = deques();
    /// The first address of everything that is pinned, and the one behind it.
    private final ConcurrentSkipListMap<Long, Long> pinned = new ConcurrentSkipListMap<>();
    /// Counts what was unpinned: what was known of an address before may be wrong since.
    private final AtomicInteger unpinned = new AtomicInteger();

    @SuppressWarnings({"unchecked", "rawtypes"}) // arrays have no type arguments
    private static ArrayDeque<MemorySegment>[] deques() {
        var deques = new ArrayDeque[CLASSES];
        for (int i = 0; i < CLASSES; i++) {
            deques[i] = new ArrayDeque<MemorySegment>();
        }
        return deques;
    }

    PinnedHost(CudaDevice device, long capacityBytes) {
        this.device = device;
        this.budget = new Budget(capacityBytes, device.name(), "pinned memory for " + device.name());
    }

    @Override
    public HostRegion allocate(long bytes, String purpose) {
        device.requireHealthy();
        long needed = bytes + SLACK_BYTES;
        try {
            return needed <= SMALL_BYTES_MAX ? small(bytes, purpose) : large(bytes, purpose);
        } catch (CudaError e) {
            throw e.isOutOfMemory() ? budget.outOfMemory(purpose, needed, 0) : device.failed(e);
        }
    }

    private HostRegion large(long bytes, String purpose) {
        long reserved = bytes + SLACK_BYTES;
        budget.reserve(reserved, purpose);
        try {
            var memory = pin(reserved);
            return region(memory.segment(), bytes, () -> {
                pinned.remove(memory.segment().address());
                unpinned.incrementAndGet();
                memory.close();
                budget.release(reserved);
            });
        } catch (RuntimeException e) {
            budget.release(reserved);
            throw e;
        }
    }

    private HostRegion small(long bytes, String purpose) {
        long size = Math.max(SMALL_BYTES_MIN, Long.highestOneBit(bytes + SLACK_BYTES - 1) << 1);
        var free = small[Long.numberOfTrailingZeros(size / SMALL_BYTES_MIN)];
        MemorySegment taken;
        synchronized (this) {
            if (free.isEmpty()) {
                slabs.add(slab(purpose));
                for (long at = 0; at < SLAB_BYTES; at += size) {
                    free.add(slabs.getLast().segment().asSlice(at, size));
                }
            }
            taken = free.remove();
        }
        return region(taken, bytes, () -> {
            synchronized (this) {
                free.add(taken);
            }
        });
    }

    private PinnedMemory slab(String purpose) {
        budget.reserve(SLAB_BYTES, purpose);
        try {
            return pin(SLAB_BYTES);
        } catch (RuntimeException e) {
            budget.release(SLAB_BYTES);
            throw e;
        }
    }

    private PinnedMemory pin(long bytes) {
        var memory = device.context().pin(bytes);
        long address = memory.segment().address();
        pinned.put(address, address + bytes);
        return memory;
    }

    /// Whether kernels can address a stretch of main memory.
    boolean contains(MemorySegment segment) {
        var before = pinned.floorEntry(segment.address());
        return before != null && segment.address() + segment.byteSize() <= before.getValue();
    }

    /// Changes whenever something is not pinned any more.
    int unpinned() {
        return unpinned.get();
    }

    private static HostRegion region(MemorySegment memory, long bytes, Runnable giveBack) {
        var segment = memory.asSlice(0, bytes + SLACK_BYTES);
        segment.fill((byte) 0);
        var open = new AtomicBoolean(true);
        return new HostRegion() {
            @Override
            public MemorySegment segment() {
                return segment;
            }

            @Override
            public HostArray array() {
                return new HostArray(segment);
            }

            @Override
            public void close() {
                if (open.compareAndSet(true, false)) {
                    giveBack.run();
                }
            }
        };
    }

    @Override
    public long capacityBytes() {
        return budget.capacityBytes();
    }

    @Override
    public long freeBytes() {
        return budget.freeBytes();
    }

    @Override
    public synchronized void close() {
        slabs.forEach(PinnedMemory::close);
        pinned.clear();
        slabs.clear();
    }
}
