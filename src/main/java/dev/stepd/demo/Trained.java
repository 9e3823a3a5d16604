package dev.stepd.demo;

import java.util.List;
import java.util.OptionalLong;

/// What a trainer ended with.
///
/// @param accuracy on the images it was not trained with
/// @param restoredStep the step it went on from after the server was gone
/// @param repeatedSteps steps it took a second time for that
/// @param losses of the batches, in the order of the steps
/// @param parameters the client's, which the server's equal bit for bit
/// @param digest the server's, over step, parameters and optimizer state
record Trained(
        String optimizer,
        double accuracy,
        OptionalLong restoredStep,
        long repeatedSteps,
        List<Float> losses,
        List<Float> parameters,
        String digest) {
    long steps() {
        return losses.size();
    }
}
