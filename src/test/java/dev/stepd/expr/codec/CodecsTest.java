package dev.stepd.expr.codec;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Each format does what it says with every value, the odd ones included.
@Tag("gpu")
class CodecsTest {
    static Stream<Codes> codes() {
        return Stream.of(Codes.Tie.values()).flatMap(tie -> Stream.of(
                new DynamicCodes(true, tie), new DynamicCodes(false, tie),
                Formats.int4Codes(true, tie), Formats.int4Codes(false, tie)));
    }

    private static CodeBook book(Codes codes) {
        return switch (codes) {
            case DynamicCodes dynamic -> dynamic.book();
            case BookCodes ofBook -> ofBook.book();
            case Float8Codes _ -> throw new IllegalStateException("no book");
        };
    }

    /// At both ends of every stretch of values that share a code, and of every stretch between powers of two: guesses are monotone
    /// between these, so codes are right everywhere.
    @ParameterizedTest
    @MethodSource("codes")
    void codesAreTheNearest(Codes codes) {
        var ends = new ArrayList<Float>();
        book(codes).midpoints().forEach(ends::add);
        book(codes).values().forEach(ends::add);
        for (int exponent = -149; exponent <= 0; exponent++) {
            ends.add(Math.scalb(1f, exponent));
        }
        ends.addAll(List.of(0f, 1.0000001f, Float.MIN_NORMAL));
        var values = new ArrayList<Float>();
        for (float end : ends) {
            for (float sign : new float[] {1, -1}) {
                float value = sign * end;
                values.addAll(List.of(value, Math.nextUp(value), Math.nextDown(value)));
            }
        }
        var random = new SplittableRandom(1);
        for (int i = 0; i < 10_000; i++) {
            values.add((float) ((random.nextBoolean() ? 1 : -1) * Math.pow(10, -8 * random.nextDouble())));
        }
        values.removeIf(value -> Math.abs(value) > 1.0000002f);
        var tie = codes instanceof DynamicCodes dynamic ? dynamic.tie() : ((BookCodes) codes).tie();
        var midpoints = CodeBook.array(book(codes).midpoints());
        var expected = values.stream().mapToInt(value -> nearest(midpoints, tie, value)).toArray();
        int mask = book(codes).values().size() - 1;
        var actual = Coded.each(codes::encode, CodeBook.array(values));
        assertThat(Arrays.stream(actual).map(code -> code & mask).toArray()).isEqualTo(expected);
        assertThat(Coded.each(codes::encode, Float.NaN)[0] & mask).isZero();
    }

    private static int nearest(float[] midpoints, Codes.Tie tie, float value) {
        int code = 0;
        while (code < midpoints.length
                && (midpoints[code] < value || midpoints[code] == value && tie == Codes.Tie.UPPER)) {
            code++;
        }
        return code;
    }

    @Test
    void halvesAreTheMachines() {
        var patterns = new float[1 << 16];
        for (int code = 0; code < patterns.length; code++) {
            patterns[code] = Float.float16ToFloat((short) code);
        }
        var decoded = Coded.each((_, code) -> F16Codec.decode(code), new float[1 << 16], range(1 << 16));
        for (int code = 0; code < patterns.length; code++) {
            if (Float.isNaN(patterns[code])) {
                assertThat(Float.intBitsToFloat(decoded[code])).isNaN();
            } else {
                assertThat(decoded[code]).isEqualTo(Float.floatToRawIntBits(patterns[code]));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void halvesAreRoundedToNearest(boolean saturates) {
        var values = new ArrayList<Float>(List.of(0f, -0f, 65519.996f, 65520f, -1e9f, Float.MAX_VALUE, Float.MIN_VALUE));
        for (int code = 0; code < 0x7c00; code += 1) {
            float value = Float.float16ToFloat((short) code);
            float next = Float.float16ToFloat((short) (code + 1));
            float middle = (float) (((double) value + Math.min(next, 65536)) / 2);
            values.addAll(List.of(value, -value, middle, Math.nextUp(middle), -Math.nextDown(middle)));
        }
        var infinite = List.of(Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, Float.NaN);
        values.addAll(infinite);
        var codes = Coded.each(new F16Codec(saturates)::encode, CodeBook.array(values));
        for (int i = 0; i < codes.length; i++) {
            float value = values.get(i);
            boolean cut = saturates && Math.abs(value) >= 65520 && Float.isFinite(value);
            int expected = cut ? 0x7bff | (value < 0 ? 0x8000 : 0) : Float.floatToFloat16(value) & 0xffff;
            assertThat(codes[i] & 0xffff).as("%s", value).isEqualTo(expected);
        }
    }

    /// Float8 against its definition: the nearest of its values, the even code of two.
    @Test
    void float8IsRoundedToNearest() {
        var all = Coded.each((_, code) -> new Float8Codes().decode(code), new float[256], range(256));
        var values = new ArrayList<Float>();
        for (int code = 0; code < 0x7e; code++) {
            float value = Float.intBitsToFloat(all[code]);
            float middle = (value + Float.intBitsToFloat(all[code + 1])) / 2;
            values.addAll(List.of(value, -value, middle, -middle, Math.nextUp(middle), Math.nextDown(middle)));
        }
        values.addAll(List.of(448f, 448.0001f, -0f, Float.MIN_VALUE));
        var codes = Coded.each(new Float8Codes()::encode, CodeBook.array(values));
        for (int i = 0; i < codes.length; i++) {
            assertThat(codes[i] & 0xff).as("%s", values.get(i)).isEqualTo(float8(all, values.get(i)));
        }
        assertThat(Coded.each(new Float8Codes()::encode, Float.NaN)[0]).isEqualTo(0x7f);
    }

    private static int float8(int[] all, float value) {
        int best = 0;
        for (int code = 1; code < 0x7f; code++) {
            double distance = Math.abs(Float.intBitsToFloat(all[code]) - Math.abs((double) value));
            double least = Math.abs(Float.intBitsToFloat(all[best]) - Math.abs((double) value));
            if (distance < least || distance == least && code % 2 == 0) {
                best = code;
            }
        }
        return best | (Float.floatToRawIntBits(value) >>> 31) << 7;
    }

    private static int[] range(int end) {
        return java.util.stream.IntStream.range(0, end).toArray();
    }

    @Test
    void bf16IsRightOnAverage() {
        var values = new float[100_000];
        Arrays.fill(values, 1.001f);
        var stored = Coded.of(new Bf16Codec(true), values).values();
        double mean = 0;
        for (float value : stored) {
            assertThat(value).isIn(1f, 1.0078125f);
            mean += value / (double) values.length;
        }
        assertThat(mean).isBetween(1.001 - 5e-5, 1.001 + 5e-5);
        var odd = new float[] {Float.NaN, Float.intBitsToFloat(0x7f800001), Float.POSITIVE_INFINITY,
            Float.NEGATIVE_INFINITY, -0f, 0f, 1.5f};
        assertThat(Coded.of(new Bf16Codec(true), odd).values()).isEqualTo(
                new float[] {Float.NaN, Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, -0f, 0f, 1.5f});
    }

    @Test
    void bf16ToNearestTiesToEven() {
        var codes = Coded.each(Bf16Codec::nearest,
                Float.intBitsToFloat(0x3f808000), Float.intBitsToFloat(0x3f818000), Float.intBitsToFloat(0x3f808001),
                Float.intBitsToFloat(0xbf807fff), Float.MAX_VALUE, Float.NaN, Float.NEGATIVE_INFINITY);
        assertThat(codes).containsExactly(0x3f80, 0x3f82, 0x3f81, 0xbf80, 0x7f80, 0x7fc0, 0xff80);
    }

    static Stream<Codec> blocks() {
        return Stream.of(true, false).flatMap(signed -> Stream.of(
                Formats.int8(signed, 8), Formats.int8Floored(signed, 8), Formats.int4(signed, 8), Formats.fp8(8)));
    }

    @ParameterizedTest
    @MethodSource("blocks")
    void aBlockThatIsNotFiniteIsNaN(Codec codec) {
        for (float odd : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
            var values = new float[24];
            Arrays.fill(values, 0.5f);
            values[11] = odd;
            var stored = Coded.of(codec, values).values();
            for (int i = 0; i < values.length; i++) {
                assertThat(Float.isNaN(stored[i])).as("%s at %d", odd, i).isEqualTo(i / 8 == 1);
            }
        }
    }

    /// A slot starts at its first value, exactly where that is zero.
    @ParameterizedTest
    @MethodSource("blocks")
    void startsAtAValue(Codec codec) {
        for (float initial : new float[] {0, 0.1f, 1}) {
            var bits = Formats.initial(codec, Coded.SLOT, initial);
            assertThat(bits).hasSize(codec.arrays(Coded.SLOT).size());
            var scale = Float.intBitsToFloat(bits.getLast().intValue());
            assertThat(scale).isEqualTo(codec.name().equals("fp8") ? initial / 448 : initial);
        }
        assertThat(Formats.initial(Formats.int8(true, 256), Coded.SLOT, 0)).containsExactly(127L, 0L);
        assertThat(Formats.initial(Formats.find("bf16", true).orElseThrow(), Coded.SLOT, 1)).containsExactly(0x3f80L);
    }
}
