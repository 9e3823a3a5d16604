package dev.stepd.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.rule.Composition;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import dev.stepd.tensor.TensorSpec;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/// What a session may ask of the formats of its slots, and what it is told when it may not.
class StateFormatTest {
    private static final List<TensorSpec> TENSORS =
            List.of(tensor("large", 5000, DType.F32), tensor("small", 100, DType.F32));

    private static TensorSpec tensor(String name, long elements, DType dtype) {
        return new TensorSpec(name, Shape.of(elements), dtype);
    }

    private static Optimizer of(Map<String, Object> optimizer, Map<String, Object> state, TensorSpec... tensors) {
        var composition = new Composition(optimizer, List.of(), null, null, state);
        var all = tensors.length == 0 ? TENSORS : List.of(tensors);
        return Optimizer.of(new Engine.Blueprint(all, composition, List.of(), null, Engine.NonFinite.REJECT));
    }

    private static void refuses(String message, Map<String, Object> state) {
        refuses(message, "adamw", state);
    }

    private static void refuses(String message, String optimizer, Map<String, Object> state) {
        assertThatThrownBy(() -> of(Map.of("name", optimizer), state))
                .isInstanceOf(ServiceException.class)
                .hasMessageContaining(message);
    }

    @Test
    void smallTensorsStayInF32() {
        var optimizer = of(Map.of("name", "adamw"), Map.of("format", "int8"));
        assertThat(optimizer.layout().kinds()).extracting(Kind::coded).containsExactly(true, false);
        assertThat(optimizer.slots().getFirst()).extracting(slot -> slot.codec().name()).containsOnly("int8");
        assertThat(optimizer.slots().getLast()).extracting(slot -> slot.codec().name()).containsOnly("f32");
        assertThat(of(Map.of("name", "adamw"), Map.of("format", "int8", "min_size", 100)).layout().kinds()).hasSize(1);
        assertThat(of(Map.of("name", "adamw"), Map.of("format", "bf16")).layout().kinds()).extracting(Kind::coded)
                .containsExactly(true);
    }

    /// A step that sums over all tensors is one program, whatever their sizes.
    @Test
    void methodsThatJoinTensorsHaveOneFormat() {
        var state = Map.<String, Object>of("format", "int8", "slots", Map.of("p0", "f32"));
        var optimizer = of(Map.of("name", "prodigy"), state);
        assertThat(optimizer.layout().kinds()).extracting(Kind::coded).containsExactly(true);
        assertThatThrownBy(() -> of(Map.of("name", "prodigy"), Map.of(),
                        tensor("a", 5, DType.F32), tensor("b", 5, DType.BF16)))
                .hasMessage("tensors have the dtypes [F32, BF16], expected one: prodigy sums over all tensors of the session");
    }

    @Test
    void slotsMayDiffer() {
        var slots = of(Map.of("name", "adamw"), Map.of("format", "int8", "slots", Map.of("exp_avg_sq", "bf16"))).slots();
        assertThat(slots.getFirst()).extracting(slot -> slot.codec().name()).containsExactly("int8", "bf16");
    }

    @Test
    void twoByteParametersHaveMasters() {
        var optimizer = of(Map.of("name", "sgd"), Map.of("format", "int8"), tensor("w", 5000, DType.BF16));
        assertThat(optimizer.slots().getFirst()).extracting(slot -> slot.spec().name()).containsExactly("master");
        assertThat(optimizer.slots().getFirst().getFirst().codec().name()).isEqualTo("f32");
        assertThat(optimizer.needsParameters()).isTrue();
    }

    @Test
    void namesWhatItRefuses() {
        refuses("state.format is \"int9\", expected one of [f32, bf16, f16, int8, fp8, int4]; did you mean \"int8\"?",
                Map.of("format", "int9"));
        refuses("unknown field state.fromat; did you mean \"format\"?", Map.of("fromat", "f32"));
        refuses("state.block_size is 256, expected none: bf16 has no blocks", Map.of("format", "bf16", "block_size", 256));
        refuses("state.block_size is 8, expected a whole number of at least 16", Map.of("format", "int8", "block_size", 8));
        refuses("state.block_size is 65537, expected a whole number from 16 to 65536",
                Map.of("format", "int8", "block_size", 65537));
        refuses("state.min_size is -1, expected a whole number of at least 0", Map.of("format", "int8", "min_size", -1));
        refuses("state.convention is \"torch\", expected one of [bitsandbytes, torchao]",
                Map.of("format", "int8", "convention", "torch"));
        refuses("state.seed is 0.5, expected a whole number", Map.of("seed", 0.5));
        refuses("state.slots: there is no slot \"exp_avgs\"; did you mean \"exp_avg\"?",
                Map.of("slots", Map.of("exp_avgs", "bf16")));
        refuses("state.slots.exp_avg is \"bf17\", expected one of", Map.of("slots", Map.of("exp_avg", "bf17")));
    }

    @Test
    void namesTheSlotThatCodesAreTooCoarseFor() {
        refuses("state.format is int8, expected f32, bf16 or f16 for the slot step_size: it grows by factors that codes would round away",
                "rprop", Map.of("format", "int8"));
        refuses("state.format is int4, expected f32, bf16 or f16 for the slot slow: it holds parameter values",
                "lookahead", Map.of("format", "int4"));
        var kept = of(Map.of("name", "lookahead"), Map.of("format", "int8", "slots", Map.of("slow", "f32")));
        assertThat(kept.slots().getFirst()).extracting(slot -> slot.codec().name()).containsExactly("int8", "int8", "f32");
    }

    @Test
    void readsItsOwnAnswerAgain() {
        var asked = Map.<String, Object>of("format", "int8", "block_size", 512, "slots", Map.of("exp_avg_sq", "f32"), "seed", 7);
        var format = StateFormat.read(asked);
        assertThat(StateFormat.read(Map.copyOf(format.resolved()))).isEqualTo(format);
        assertThat(StateFormat.F32.resolved()).isEqualTo(Map.of("format", "f32", "seed", 0L));
        assertThatThrownBy(() -> StateFormat.read(Map.of("format", "F32"))).isInstanceOfSatisfying(
                ServiceException.class, e -> assertThat(e.code()).isEqualTo(ErrorCode.INVALID_VALUE));
    }
}
