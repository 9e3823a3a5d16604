package dev.stepd.engine;

import dev.stepd.device.Array;
import dev.stepd.device.Device;
import dev.stepd.device.HostRegion;
import dev.stepd.tensor.TensorSpec;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.BiConsumer;
import java.util.stream.Stream;

/// A session's stepper that trains on values cut from one random pattern, for tensors of any size: what it meets depends on its seed and
/// the step, never on the device. Does not own the device.
public final class BulkTraining implements AutoCloseable {
    /// A prime, so that what tensors meet does not repeat with their rows.
    private static final int PATTERN = 1_048_573;
    private static final float[] VALUES = values();
    private static final int PIECE_BYTES = 16 << 20;

    private final Stepper stepper;
    private final HostRegion body;
    private final long seed;
    private final BitSet present = new BitSet();
    private final BitSet given = new BitSet();

    /// @param seed of gradients and first parameters
    public BulkTraining(Device device, List<TensorSpec> tensors, Map<String, Object> optimizer, long seed) {
        this.seed = seed;
        var blueprint = new Engine.Blueprint(tensors, Training.composition(optimizer), List.of(), null, Engine.NonFinite.REJECT);
        this.stepper = new Engine(device).create(blueprint);
        this.body = device.host().allocate(stepper.body().byteCount(), "a body");
        present.set(0, tensors.size());
        given.set(0, stepper.body().inputs().size());
        long place = seed;
        for (var part : stepper.parameters()) {
            place += put(part.array(), place);
        }
        stepper.parametersLoaded();
    }

    /// Of four magnitudes, some of them zero or too small to be normal.
    private static float[] values() {
        var random = new SplittableRandom(3);
        var values = new float[PATTERN];
        for (int i = 0; i < PATTERN; i++) {
            float value = (float) ((random.nextDouble() - 0.5) * Math.pow(10, random.nextInt(4) - 2));
            values[i] = switch (random.nextInt(1000)) {
                case 0 -> 0.0f;
                case 1 -> -0.0f;
                case 2 -> value * 0x1p-130f;
                default -> value;
            };
        }
        return values;
    }

    /// Fills with the pattern from a place of it on.
    static void fill(MemorySegment floats, long from) {
        long count = floats.byteSize() / Float.BYTES;
        int at = (int) Math.floorMod(from * 7919, (long) PATTERN);
        for (long done = 0; done < count;) {
            int some = (int) Math.min(count - done, PATTERN - at);
            MemorySegment.copy(VALUES, at, floats, ValueLayout.JAVA_FLOAT, done * Float.BYTES, some);
            done += some;
            at = 0;
        }
    }

    private static long put(Array parameters, long from) {
        try (var arena = Arena.ofConfined()) {
            var values = arena.allocate(Math.max(1, parameters.byteSize()), Float.BYTES).asSlice(0, parameters.byteSize());
            fill(values, from);
            parameters.write(0, values);
        }
        return parameters.byteSize();
    }

    /// A step of all tensors.
    public void step() {
        long t = stepper.step() + 1;
        fill(body.segment().asSlice(0, stepper.layout().elementCount() * Float.BYTES), seed + 31 * t);
        for (var input : stepper.body().inputs()) {
            if (input.ofTensors()) {
                fill(body.segment().asSlice(input.offset(), stepper.layout().elementCount() * Float.BYTES), seed + 57 * t);
            } else {
                body.segment().set(ValueLayout.JAVA_FLOAT, input.offset(), 0.75f);
            }
        }
        if (stepper.step(body.segment(), present, given) != Stepper.Outcome.APPLIED) {
            throw new IllegalStateException("step " + t + " was not applied: " + stepper.nonFiniteKey());
        }
    }

    public void steps(int count) {
        for (int i = 0; i < count; i++) {
            step();
        }
    }

    public Stepper stepper() {
        return stepper;
    }

    /// Copies what another session of the same description has, and goes on from there.
    void resumeFrom(BulkTraining other) {
        var mine = state();
        var theirs = other.state();
        for (int i = 0; i < mine.size(); i++) {
            int index = i;
            theirs.get(i).pieces((at, piece) -> mine.get(index).array().write(at, piece));
        }
        stepper.resumeAt(other.stepper.step(), other.stepper.tensorSteps());
    }

    /// Parameters and slots.
    private List<Kept> state() {
        return Stream.concat(stepper.parameters().stream(), stepper.slots().stream())
                .map(part -> new Kept(part.key(), part.array()))
                .toList();
    }

    /// Parameters, slots, and the deltas of the last step.
    private List<Kept> everything() {
        var all = new ArrayList<>(state());
        all.add(new Kept("deltas", body.array().slice(0, stepper.layout().elementCount() * Float.BYTES)));
        return all;
    }

    private record Kept(String key, Array array) {
        /// In order, each good until the next.
        void pieces(BiConsumer<Long, MemorySegment> each) {
            try (var arena = Arena.ofConfined()) {
                var room = arena.allocate(Math.max(1, Math.min(PIECE_BYTES, array.byteSize())), 64);
                for (long at = 0; at < array.byteSize(); at += PIECE_BYTES) {
                    var piece = room.asSlice(0, Math.min(PIECE_BYTES, array.byteSize() - at));
                    array.read(at, piece);
                    each.accept(at, piece);
                }
            }
        }

        /// Where bytes differ.
        List<String> differences(Kept other) {
            var found = new ArrayList<String>();
            pieces((at, piece) -> {
                try (var arena = Arena.ofConfined()) {
                    var theirs = arena.allocate(piece.byteSize(), 64);
                    other.array.read(at, theirs);
                    long byteIndex = piece.mismatch(theirs);
                    if (byteIndex >= 0) {
                        found.add(key + " from byte " + (at + byteIndex) + " on: "
                                + word(piece, byteIndex) + " instead of " + word(theirs, byteIndex));
                    }
                }
            });
            return found;
        }

        /// Four bytes, as hexadecimal digits and as a float.
        private static String word(MemorySegment bytes, long at) {
            long word = Math.min(at / Float.BYTES * Float.BYTES, bytes.byteSize() - Float.BYTES);
            if (word < 0) {
                return HexFormat.of().formatHex(bytes.toArray(ValueLayout.JAVA_BYTE));
            }
            return "%08x (%s)".formatted(bytes.get(ValueLayout.JAVA_INT_UNALIGNED, word), bytes.get(ValueLayout.JAVA_FLOAT_UNALIGNED, word));
        }
    }

    /// What is not bit for bit as in another session: each array, where, and the values.
    List<String> differences(BulkTraining other) {
        var mine = everything();
        var theirs = other.everything();
        var found = new ArrayList<String>();
        for (int i = 0; i < mine.size(); i++) {
            found.addAll(mine.get(i).differences(theirs.get(i)));
        }
        if (stepper.lastGradNorm() != other.stepper.lastGradNorm()) {
            found.add("gradient norm " + stepper.lastGradNorm() + " instead of " + other.stepper.lastGradNorm());
        }
        return found;
    }

    /// Of every bit of parameters, slots and deltas.
    public String digest() {
        try {
            var digest = MessageDigest.getInstance("SHA-256");
            everything().forEach(kept -> kept.pieces((_, piece) -> digest.update(piece.asByteBuffer())));
            return HexFormat.of().formatHex(digest.digest());
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void close() {
        body.close();
        stepper.close();
    }
}
