package dev.stepd.demo;

import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import dev.stepd.tensor.TensorSpec;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/// A 64-128-10 network: one hidden layer of rectified units, softmax and cross-entropy.
///
///     h = max(0, x*W1 + b1)        p = softmax(h*W2 + b2)        loss = mean over the batch of -log p[label]
///
/// Plain loops in one order, in float, with the exponential and logarithm that are the same everywhere: the same
/// parameters and batch give the same bits, whichever machine and however often. One thread at a time.
final class Network {
    private static final int IN = Examples.PIXELS;
    private static final int HIDDEN = 128;
    private static final int OUT = 10;
    private static final int W1 = 0;
    private static final int B1 = W1 + IN * HIDDEN;
    private static final int W2 = B1 + HIDDEN;
    private static final int B2 = W2 + HIDDEN * OUT;

    static final int PARAMETERS = B2 + OUT;

    /// The parameters as they lie, end to end.
    static final List<TensorSpec> TENSORS = List.of(
            new TensorSpec("hidden.weight", Shape.of(IN, HIDDEN), DType.F32),
            new TensorSpec("hidden.bias", Shape.of(HIDDEN), DType.F32),
            new TensorSpec("out.weight", Shape.of(HIDDEN, OUT), DType.F32),
            new TensorSpec("out.bias", Shape.of(OUT), DType.F32));

    private final float[] hidden = new float[HIDDEN];
    private final float[] hiddenError = new float[HIDDEN];
    private final float[] outputs = new float[OUT];

    /// Parameters to start from: weights drawn as He et al. (2015) say for rectified units, biases 0.
    static float[] initial(long seed) {
        var random = new Random(seed);
        var parameters = new float[PARAMETERS];
        for (int i = W1; i < B1; i++) {
            parameters[i] = (float) (random.nextGaussian() * Math.sqrt(2.0 / IN));
        }
        for (int i = W2; i < B2; i++) {
            parameters[i] = (float) (random.nextGaussian() * Math.sqrt(2.0 / HIDDEN));
        }
        return parameters;
    }

    /// The mean loss of a batch; its gradient replaces what `gradient` held.
    double loss(float[] parameters, Examples batch, float[] gradient) {
        Arrays.fill(gradient, 0);
        double sum = 0;
        for (int image = 0; image < batch.count(); image++) {
            forward(parameters, batch, image);
            sum += softmax(batch.label(image));
            outputs[batch.label(image)] -= 1;
            for (int j = 0; j < OUT; j++) {
                outputs[j] /= batch.count();
            }
            backward(parameters, batch, image, gradient);
        }
        return sum / batch.count();
    }

    /// The share of images whose digit gets the highest score.
    double accuracy(float[] parameters, Examples examples) {
        int right = 0;
        for (int image = 0; image < examples.count(); image++) {
            forward(parameters, examples, image);
            int best = 0;
            for (int j = 1; j < OUT; j++) {
                best = outputs[j] > outputs[best] ? j : best;
            }
            right += best == examples.label(image) ? 1 : 0;
        }
        return (double) right / examples.count();
    }

    /// Leaves the scores of an image in `outputs`.
    private void forward(float[] parameters, Examples batch, int image) {
        System.arraycopy(parameters, B1, hidden, 0, HIDDEN);
        for (int i = 0; i < IN; i++) {
            float x = batch.pixel(image, i);
            if (x != 0) { // half of the pixels are blank
                for (int j = 0; j < HIDDEN; j++) {
                    hidden[j] += x * parameters[W1 + i * HIDDEN + j];
                }
            }
        }
        System.arraycopy(parameters, B2, outputs, 0, OUT);
        for (int i = 0; i < HIDDEN; i++) {
            hidden[i] = Math.max(0, hidden[i]);
            for (int j = 0; j < OUT; j++) {
                outputs[j] += hidden[i] * parameters[W2 + i * OUT + j];
            }
        }
    }

    /// Turns scores into probabilities, and gives the loss of the label.
    private double softmax(int label) {
        float max = outputs[0];
        for (float output : outputs) {
            max = Math.max(max, output);
        }
        double labelScore = outputs[label] - max;
        double sum = 0;
        for (int j = 0; j < OUT; j++) {
            double exp = StrictMath.exp(outputs[j] - max);
            outputs[j] = (float) exp;
            sum += exp;
        }
        for (int j = 0; j < OUT; j++) {
            outputs[j] = (float) (outputs[j] / sum);
        }
        return StrictMath.log(sum) - labelScore;
    }

    /// Adds what an image contributes; `outputs` holds the error of the scores.
    private void backward(float[] parameters, Examples batch, int image, float[] gradient) {
        for (int j = 0; j < OUT; j++) {
            gradient[B2 + j] += outputs[j];
        }
        for (int i = 0; i < HIDDEN; i++) {
            float error = 0;
            for (int j = 0; j < OUT; j++) {
                gradient[W2 + i * OUT + j] += hidden[i] * outputs[j];
                error += parameters[W2 + i * OUT + j] * outputs[j];
            }
            hiddenError[i] = hidden[i] > 0 ? error : 0;
            gradient[B1 + i] += hiddenError[i];
        }
        for (int i = 0; i < IN; i++) {
            float x = batch.pixel(image, i);
            if (x != 0) {
                for (int j = 0; j < HIDDEN; j++) {
                    gradient[W1 + i * HIDDEN + j] += x * hiddenError[j];
                }
            }
        }
    }
}
