package dev.stepd.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.device.HostArray;
import dev.stepd.engine.StatePart;
import dev.stepd.engine.Values;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class SmallPartsTest {
    @Test
    void admitsUpToTheLimitAndOneAlways() {
        var admission = new Admission(100);
        admission.admit(500);
        assertThatThrownBy(() -> admission.admit(1))
                .isInstanceOfSatisfying(ServiceException.class, e -> assertThat(e.code()).isEqualTo(ErrorCode.TOO_MANY_REQUESTS))
                .hasMessage("this body takes 1 bytes, 500 of the 100 allowed at a time are in flight");
        admission.leave(500);
        admission.admit(60);
        admission.admit(40);
        assertThat(admission.bytesInFlight()).isEqualTo(100);
    }

    @Test
    void givesMemoryBackWithItsLastHolder() {
        var given = new AtomicInteger();
        var lease = new Lease(MemorySegment.NULL, given::incrementAndGet);
        var once = lease.retain().releaseOnce();
        once.run();
        once.run();
        assertThat(given).hasValue(0);
        lease.release();
        assertThat(given).hasValue(1);
        assertThat(lease.tryRetain()).isFalse();
    }

    @Test
    void readsWhatItWroteAsJson() throws IOException {
        var text = "{\"a\":[1,2.5,-3,1.0E-8,true,null,\"\\\"é\"],\"b\":{\"c\":{}},\"d\":123456789012345678901234567890}";
        assertThat(Json.write(Json.read(text))).isEqualTo(text);
        assertThatThrownBy(() -> Json.read("{\"a\":1,\"a\":2}")).isInstanceOf(IOException.class);
        assertThatThrownBy(() -> Json.read("{} x")).isInstanceOf(IOException.class);
        assertThatThrownBy(() -> Json.read("")).isInstanceOf(IOException.class);
    }

    @Test
    void writesTensorStepsOnlyWhereTheyDiffer() {
        assertThat(StateMetadata.write(3, List.of(3L, 3L))).isEqualTo(Map.of("step", "3"));
        assertThat(StateMetadata.write(3, List.of(3L, 1L))).isEqualTo(Map.of("step", "3", "tensor_steps", "[3, 1]"));
        assertThat(StateMetadata.read(StateMetadata.write(3, List.of(3L, 1L)), 2))
                .contains(new StateMetadata.Counters(3, List.of(3L, 1L)));
        assertThat(StateMetadata.read(Map.of("step", "3"), 2)).contains(new StateMetadata.Counters(3, List.of(3L, 3L)));
        assertThat(StateMetadata.read(Map.of("mine", "x"), 2)).isEqualTo(Optional.empty());
    }

    @Test
    void refusesCountersThatAreNone() {
        for (var metadata : List.of(Map.of("step", "-1"), Map.of("step", "1.0"), Map.of("step", "9".repeat(19)),
                Map.of("tensor_steps", "[1,2]"), Map.of("step", "3", "tensor_steps", "[1]"),
                Map.of("step", "3", "tensor_steps", "[1,4]"), Map.of("step", "3", "tensor_steps", "[1,-1]"),
                Map.of("step", "3", "tensor_steps", "[1,\"2\"]"), Map.of("step", "3", "tensor_steps", "nope"))) {
            assertThatThrownBy(() -> StateMetadata.read(metadata, 2))
                    .isInstanceOfSatisfying(ServiceException.class, e -> assertThat(e.code()).isEqualTo(ErrorCode.INVALID_VALUE))
                    .hasMessageContaining("__metadata__.");
        }
    }

    @Test
    void findsTheFirstElementThatIsNotFinite() {
        try (var arena = Arena.ofConfined()) {
            int count = 4096 * 2 + 3;
            var floats = arena.allocate(4L * count, 4);
            floats.set(ValueLayout.JAVA_FLOAT, 0, -Float.MAX_VALUE);
            FiniteCheck.require("w", DType.F32, floats);
            floats.set(ValueLayout.JAVA_FLOAT, 4L * (count - 1), Float.NEGATIVE_INFINITY);
            assertThatThrownBy(() -> FiniteCheck.require("w", DType.F32, floats)).hasMessage("w holds -Infinity at index 8194, expected finite values");
            floats.set(ValueLayout.JAVA_FLOAT, 4L * 4096, Float.NaN);
            assertThatThrownBy(() -> FiniteCheck.require("w", DType.F32, floats)).hasMessageContaining("NaN at index 4096");
        }
    }

    @Test
    void digestsTheSameStateTheSameInAnyLayout() {
        try (var arena = Arena.ofConfined()) {
            var a = part(arena, "a", 1);
            var b = part(arena, "b", 2);
            var am = part(arena, "a#m", 3);
            var bm = part(arena, "b#m", 4);
            var av = part(arena, "a#v", 5);
            var one = StateDigest.canonical(List.of("a", "b"), List.of(b, a), List.of(bm, am, av));
            assertThat(one).extracting(StatePart::key).containsExactly("a", "a#m", "a#v", "b", "b#m");
            var digest = StateDigest.of(7, List.of(7L, 7L), one);
            assertThat(digest).matches("sha256:[0-9a-f]{64}");
            assertThat(StateDigest.of(8, List.of(7L, 7L), one)).isNotEqualTo(digest);
            assertThat(StateDigest.of(7, List.of(7L, 6L), one)).isNotEqualTo(digest);
            Values.put(new float[] {6}, av.array());
            assertThat(StateDigest.of(7, List.of(7L, 7L), one)).isNotEqualTo(digest);
        }
    }

    @Test
    void makesIdentifiersInOrder() {
        assertThat(Identifier.next()).matches("[0-9a-f]{12}-[0-9a-f]{12}").isNotEqualTo(Identifier.next());
    }

    private static StatePart part(Arena arena, String key, float value) {
        var data = arena.allocate(4, 4);
        data.set(ValueLayout.JAVA_FLOAT, 0, value);
        return new StatePart(key, DType.F32, Shape.of(1), new HostArray(data));
    }
}
