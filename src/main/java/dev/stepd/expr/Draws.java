package dev.stepd.expr;

import java.nio.charset.StandardCharsets;

/// What random bits are: a function of the session's seed, the stream's name, a tensor's step count and an element's index,
/// and of nothing else. So a step that is taken again, on any device and cut in any way, draws the same.
///
/// The host mixes seed, stream and step to two keys, and an element mixes its index with them:
///
///     x = index ^ a
///     x = (x ^ x >>> 17) * 0xed5ad4bb + b
///     x = (x ^ x >>> 11) * 0xac4c1b51
///     x = (x ^ x >>> 15) * 0x31848bab
///     x =  x ^ x >>> 14
///
/// Each line permutes the 2^32 numbers, so the draws of one tensor and step differ from each other; the constants are of
/// Chris Wellons' search for such mixers with little bias (*hash-prospector*, 2018, `triple32`). With one line
/// less, neighbours' draws show a bias. The second key, added on the way, makes the draws of two steps more than one sequence
/// in two orders.
public final class Draws {
    /// The number that sessions with random draws have.
    public static final String SEED = "seed";

    /// One line of the mixing: `(x ^ x >>> shift) * factor`.
    public record Round(int shift, int factor) {
        int mix(int x) {
            return (x ^ x >>> shift) * factor;
        }
    }

    public static final Round FIRST = new Round(17, 0xed5ad4bb);
    public static final Round SECOND = new Round(11, 0xac4c1b51);
    public static final Round THIRD = new Round(15, 0x31848bab);
    public static final Round LAST = new Round(14, 1);

    private Draws() {}

    /// The bits that an element draws.
    ///
    /// @param step as the tensor counts it
    /// @param index of the element among those of the session, in the order the session declares its tensors
    public static int draw(double seed, String stream, long step, int index) {
        double name = name(stream);
        int x = FIRST.mix(index ^ (int) key(key(seed, name), step)) + (int) key(key(name, seed), step);
        return LAST.mix(THIRD.mix(SECOND.mix(x)));
    }

    /// A stream's name as a number: 48 bits, FNV-1a.
    public static double name(String stream) {
        long hash = 0xcbf29ce484222325L;
        for (byte b : stream.getBytes(StandardCharsets.UTF_8)) {
            hash = (hash ^ b & 0xff) * 0x100000001b3L;
        }
        return hash >>> 16;
    }

    /// 32 bits made of two numbers, as a whole number with a sign: what [BinaryOp#MIX] means. The bits of both go through
    /// the finalizer of splitmix64.
    static double key(double a, double b) {
        long x = mix(Double.doubleToLongBits(a) + 0x9e3779b97f4a7c15L) + Double.doubleToLongBits(b);
        return (int) (mix(x + 0x9e3779b97f4a7c15L) >>> 32);
    }

    private static long mix(long x) {
        x = (x ^ x >>> 30) * 0xbf58476d1ce4e5b9L;
        x = (x ^ x >>> 27) * 0x94d049bb133111ebL;
        return x ^ x >>> 31;
    }
}
