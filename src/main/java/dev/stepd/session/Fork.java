package dev.stepd.session;

import dev.stepd.engine.Translation;
import java.util.List;

/// A new session that goes on from another's state.
///
/// @param source the other's id
/// @param snapshot of which snapshot, empty for the live state
/// @param step at which
public record Fork(Session session, String source, String snapshot, long step, Slots translation) {
    /// What became of the slots.
    ///
    /// @param steps whether tensors go on counting their steps, and if not, why
    public record Slots(List<Line> carried, List<Line> fresh, List<Line> dropped, String steps) {
        static Slots of(Translation translation) {
            return new Slots(lines(translation.carried()), lines(translation.fresh()), lines(translation.dropped()),
                    steps(translation));
        }

        private static List<Line> lines(List<Translation.Line> lines) {
            return lines.stream().map(line -> new Line(line.slot(), line.reason(), line.tensors())).toList();
        }

        private static String steps(Translation translation) {
            if (translation.restarts().isEmpty()) {
                return "carried";
            }
            return "counted from 0" + (translation.restartsAll() ? "" : " for some tensors") + ": "
                    + String.join("; ", translation.restarts());
        }
    }

    /// One slot.
    ///
    /// @param reason in a few words
    /// @param tensors how many tensors this is so of
    public record Line(String slot, String reason, int tensors) {}
}
