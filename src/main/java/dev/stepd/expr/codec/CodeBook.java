package dev.stepd.expr.codec;

import java.util.ArrayList;
import java.util.List;

/// What codes stand for, in units of the largest value of a block: ascending, one value for each code.
///
/// The dynamic books are those of Dettmers, *8-Bit Approximations for Parallelism in Deep Learning*, 2015, arXiv:1511.04561:
/// decades, each with twice the values of the one below it, halfway between evenly spaced bounds.
///
/// @param name names the book in programs and in exports
record CodeBook(String name, List<Float> values) {
    CodeBook {
        values = List.copyOf(values);
    }

    /// Dynamic values from `10^-decades` to 1, and zero. `1 << decades` codes for each sign of a signed book and `2 << decades`
    /// of an unsigned one, those of both signs but for -1, which is not there.
    static CodeBook dynamic(boolean signed, int decades) {
        var values = new ArrayList<>(List.of(0f, 1f));
        for (int decade = 0; decade < decades; decade++) {
            int count = (signed ? 1 : 2) << decade;
            float power = (float) Math.pow(10, decade - decades + 1);
            for (int i = 0; i < count; i++) {
                float value = power * ((bound(i, count) + bound(i + 1, count)) / 2);
                values.add(value);
                if (signed) {
                    values.add(-value);
                }
            }
        }
        values.sort(Float::compare);
        return new CodeBook("dynamic-" + (signed ? "signed-" : "unsigned-") + values.size(), values);
    }

    /// Bound `i` of `count` even parts of what lies between 0.1 and 1, with the roundings of torch's `linspace`: from the
    /// nearer end.
    private static float bound(int i, int count) {
        float step = (1 - 0.1f) / count;
        return i < (count + 1) / 2 ? Math.fma(step, i, 0.1f) : Math.fma(-step, count - i, 1);
    }

    /// `1/count, 2/count, ... 1`: no zero, so that a second moment in a live block never vanishes.
    static CodeBook linear(int count) {
        var values = new ArrayList<Float>();
        for (int i = 1; i <= count; i++) {
            values.add((float) i / count);
        }
        return new CodeBook("linear-unsigned-" + count, values);
    }

    /// What a code has to exceed to become the next.
    List<Float> midpoints() {
        var midpoints = new ArrayList<Float>();
        for (int i = 0; i + 1 < values.size(); i++) {
            midpoints.add((values.get(i) + values.get(i + 1)) / 2);
        }
        return midpoints;
    }

    float[] array() {
        return array(values);
    }

    static float[] array(List<Float> values) {
        var array = new float[values.size()];
        for (int i = 0; i < array.length; i++) {
            array[i] = values.get(i);
        }
        return array;
    }
}
