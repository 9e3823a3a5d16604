package dev.stepd.demo;

import java.util.AbstractList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.Callable;
import java.util.function.LongConsumer;

/// Trains the network with one optimizer: computes gradients, posts them, adds the deltas that come back.
///
/// When the server comes back from a crash at an earlier step, the trainer takes the server's parameters and goes on
/// from there. Everything it computes depends on step and parameters alone, so the steps it repeats come out as before.
final class Trainer implements Callable<Trained> {
    /// Where a trainer stands.
    ///
    /// @param step finished ones
    /// @param loss of the last batch, NaN before the first
    record Standing(String optimizer, long step, float loss) {}

    private final Contestant contestant;
    private final Course course;
    private final Connection connection;
    private final LongConsumer afterStep;
    private final float[] gradient = new float[Network.PARAMETERS];
    private final float[] losses;
    private float[] parameters;
    private OptionalLong restoredStep = OptionalLong.empty();
    private long reached;
    private long repeated;
    private volatile Standing standing;

    /// @param afterStep told the step that is finished, on the trainer's thread
    Trainer(Contestant contestant, Course course, Connection connection, LongConsumer afterStep) {
        this.contestant = contestant;
        this.course = course;
        this.connection = connection;
        this.afterStep = afterStep;
        this.losses = new float[Math.toIntExact(course.steps())];
        this.parameters = Network.initial(course.seed());
        this.standing = new Standing(contestant.name(), 0, Float.NaN);
    }

    Standing standing() {
        return standing;
    }

    @Override
    public Trained call() throws InterruptedException {
        var network = new Network();
        var batches = course.batches();
        var session = RemoteSession.create(connection,
                contestant.session(batches.perEpoch(), course.steps(), course.snapshotEvery()));
        session.upload(parameters);
        long step = 0;
        while (step < course.steps()) {
            float loss = (float) network.loss(parameters, batches.ofStep(step + 1), gradient);
            record(step + 1, loss);
            step = take(session, step + 1);
            standing = new Standing(contestant.name(), step, loss);
            afterStep.accept(step);
        }
        requireSameBits(session.parameters());
        double accuracy = network.accuracy(parameters, course.digits().test());
        return new Trained(contestant.name(), accuracy, restoredStep, repeated, boxed(losses), boxed(parameters),
                session.digest());
    }

    /// Takes a step, or goes back to where the server stands; gives the step that is finished then.
    private long take(RemoteSession session, long number) throws InterruptedException {
        try {
            var stepped = session.step(number, gradient, parameters);
            if (stepped.wasLost()) { // it came back just where it was, or with the step whose answer was lost
                restoredStep = OptionalLong.of(stepped.wasReplayed() ? number : number - 1);
            }
            reached = Math.max(reached, number);
            return number;
        } catch (Refused e) {
            if (!e.isStepMismatch()) {
                throw e;
            }
            long survived = session.step();
            parameters = session.parameters();
            restoredStep = OptionalLong.of(survived);
            repeated += Math.max(0, reached - survived);
            return survived;
        }
    }

    private void record(long step, float loss) {
        int at = (int) step - 1;
        if (step <= reached && Float.floatToIntBits(losses[at]) != Float.floatToIntBits(loss)) {
            throw new IllegalStateException(contestant.name() + ": step " + step + " had the loss " + losses[at]
                    + " before the restart and " + loss + " after it");
        }
        losses[at] = loss;
    }

    private void requireSameBits(float[] servers) {
        int at = Arrays.mismatch(parameters, servers);
        if (at >= 0) {
            throw new IllegalStateException(contestant.name() + ": parameter " + at + " is " + parameters[at]
                    + " here and " + servers[at] + " on the server");
        }
    }

    private static List<Float> boxed(float[] values) {
        return new AbstractList<>() {
            @Override
            public Float get(int at) {
                return values[at];
            }

            @Override
            public int size() {
                return values.length;
            }
        };
    }
}
