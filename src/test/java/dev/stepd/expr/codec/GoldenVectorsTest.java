package dev.stepd.expr.codec;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.golden.GoldenFile;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Code books, codes, scales and values are those of bitsandbytes and torchao, bit for bit.
class GoldenVectorsTest {
    private record Vector(GoldenFile file, String name, String codes, String scales, String output, Codec codec, int block) {
        float[] input() {
            return file.get("input/" + name);
        }

        @Override
        public String toString() {
            return file + " " + name;
        }
    }

    private static GoldenFile file(String name) {
        return GoldenFile.of(List.of("quantization")).filter(f -> f.config().equals(name)).findFirst().orElseThrow();
    }

    @Test
    void codeBooksAreTheReferences() {
        var file = file("codebooks");
        assertThat(CodeBook.dynamic(true, 7).array())
                .isEqualTo(file.get("bnb_dynamic_signed_8bit"))
                .isEqualTo(file.get("torchao_dynamic_signed_8bit"));
        assertThat(CodeBook.dynamic(false, 7).array())
                .isEqualTo(file.get("bnb_dynamic_unsigned_8bit"))
                .isEqualTo(file.get("torchao_dynamic_unsigned_8bit"));
        assertThat(CodeBook.dynamic(true, 3).array()).isEqualTo(file.get("torchao_dynamic_signed_4bit"));
        assertThat(CodeBook.linear(16).array()).isEqualTo(file.get("torchao_linear_unsigned_4bit"));
    }

    static Stream<Vector> bitsandbytes() {
        return Stream.of(true, false).flatMap(signed -> {
            var file = file("bnb_blockwise_dynamic_" + (signed ? "signed" : "unsigned"));
            return file.keys("input/").stream().map(key -> key.substring("input/".length())).map(name -> new Vector(
                    file, name, "portable/codes/" + name, "portable/absmax/" + name, "portable/output/" + name,
                    Formats.int8(signed, 256), 256));
        });
    }

    static Stream<Vector> torchao() {
        var file = file("torchao_blockwise");
        return file.keys("input/").stream().map(key -> key.substring("input/".length())).map(name -> {
            var codec = switch (name.substring(0, name.indexOf('/'))) {
                case "8bit_signed" -> Formats.int8Floored(true, 256);
                case "8bit_unsigned" -> Formats.int8Floored(false, 256);
                case "4bit_signed" -> Formats.int4(true, 128);
                case "4bit_unsigned" -> Formats.int4(false, 128);
                case "fp8" -> Formats.fp8(256);
                case String other -> throw new IllegalStateException(other);
            };
            int block = name.startsWith("4bit") ? 128 : 256;
            return new Vector(file, name, "codes/" + name, "scale/" + name, "output/" + name, codec, block);
        });
    }

    /// The reference writes `1e-38` where the last block of a tensor is short and its largest magnitude less; ours has its own
    /// magnitude there, as the reference has in every other block.
    @ParameterizedTest
    @MethodSource("bitsandbytes")
    void codesAreThoseOfBitsandbytes(Vector vector) {
        var coded = Coded.of(vector.codec, vector.input());
        assertThat(coded.codes()).isEqualTo(vector.file.whole(vector.codes));
        var scales = vector.file.get(vector.scales);
        var output = vector.file.get(vector.output);
        int compared = output.length;
        if (scales[scales.length - 1] == 1e-38f) {
            compared = (scales.length - 1) * vector.block;
            scales = Arrays.copyOf(scales, scales.length - 1);
            assertThat(coded.scales()[scales.length]).isLessThan(1e-38f);
        }
        assertThat(Arrays.copyOf(coded.scales(), scales.length)).isEqualTo(scales);
        assertThat(Arrays.copyOf(coded.values(), compared)).isEqualTo(Arrays.copyOf(output, compared));
    }

    @ParameterizedTest
    @MethodSource("torchao")
    void codesAreThoseOfTorchao(Vector vector) {
        var coded = Coded.of(vector.codec, vector.input());
        assertThat(coded.codes()).isEqualTo(vector.file.whole(vector.codes));
        assertThat(coded.scales()).isEqualTo(vector.file.get(vector.scales));
        assertThat(coded.values()).isEqualTo(vector.file.get(vector.output));
    }

    @Test
    void bf16IsRoundedByTheGivenDraws() {
        var file = file("bf16_stochastic_rounding");
        var codes = Coded.each(Bf16Codec::random, file.get("input/x"), file.whole("input/random16"));
        var expected = Arrays.stream(file.whole("output/bf16_bits")).map(bits -> bits & 0xffff).toArray();
        assertThat(Arrays.stream(codes).map(code -> code & 0xffff).toArray()).isEqualTo(expected);
        var values = IntStream.of(expected).mapToObj(code -> Float.intBitsToFloat(code << 16)).toList();
        assertThat(Coded.floats(values)).isEqualTo(file.get("output/bf16_as_float32"));
    }
}
