package dev.stepd.demo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import dev.stepd.tensor.TensorSpec;
import java.util.List;
import org.junit.jupiter.api.Test;

class TensorBodyTest {
    private static final TensorSpec A = new TensorSpec("a", Shape.of(2), DType.F32);
    private static final TensorSpec B = new TensorSpec("b", Shape.of(1, 3), DType.F32);

    @Test
    void readsWhatItWrote() {
        var body = new TensorBody(List.of(A, B));
        assertThat(body.read(body.write(new float[] {1, -0f, 3, 4, 5}))).containsExactly(1, -0f, 3, 4, 5);
    }

    @Test
    void putsTensorsOfAnotherOrderInTheirPlaces() {
        var sent = new TensorBody(List.of(B, A)).write(new float[] {3, 4, 5, 1, 2});
        assertThat(new TensorBody(List.of(A, B)).read(sent)).containsExactly(1, 2, 3, 4, 5);
    }

    @Test
    void refusesABodyThatLacksATensor() {
        var sent = new TensorBody(List.of(A)).write(new float[] {1, 2});
        assertThatThrownBy(() -> new TensorBody(List.of(A, B)).read(sent)).hasMessage("1 tensors were answered, not 2");
    }
}
