package dev.stepd.http;

import dev.stepd.error.ErrorCode;
import java.util.Map;

/// A defect after a step was applied: the client must not take it for a step that never happened.
final class AnswerLost extends RuntimeException {
    private final long step;

    AnswerLost(long step, Throwable cause) {
        super(cause);
        this.step = step;
    }

    Problem problem() {
        return new Problem(ErrorCode.INTERNAL,
                "step " + step + " was applied but its answer could not be made; post it again with Stepd-Step: " + step,
                "applied", Map.of("current_step", step));
    }
}
