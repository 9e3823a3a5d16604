package dev.stepd.rule;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;

/// What a step comes to.
///
/// @param delta what the parameter moves by
/// @param writes the new values of slots
record Move(Assignment delta, List<Assignment> writes) {
    Move {
        writes = List.copyOf(writes);
    }

    /// @throws IllegalStateException where nothing says how the parameter moves
    static Move of(List<Assignment> assignments) {
        var writes = new ArrayList<>(assignments);
        var delta = assignments.stream()
                .filter(a -> a.target().kind() == Buffer.Kind.DELTA)
                .findFirst()
                .orElseThrow(() -> new IllegalStateException("no delta among " + assignments));
        writes.remove(delta);
        return new Move(delta, writes);
    }

    /// Another way for the parameter to go.
    Move to(Expr value) {
        return new Move(new Assignment(delta.target(), value.as(delta.target().storage())), writes);
    }

    /// Further slots written.
    Move and(Assignment... more) {
        var all = new ArrayList<>(writes);
        all.addAll(List.of(more));
        return new Move(delta, all);
    }

    /// Another value for a slot, made of the one it would have; absent where the slot is not written.
    Optional<Move> changing(String slot, UnaryOperator<Expr> change) {
        var changed = writes.stream().map(write -> named(write, slot)
                ? new Assignment(write.target(), change.apply(write.value()))
                : write).toList();
        return writes.stream().anyMatch(write -> named(write, slot)) ? Optional.of(new Move(delta, changed)) : Optional.empty();
    }

    private static boolean named(Assignment write, String slot) {
        return write.target().kind() == Buffer.Kind.SLOT && write.target().name().equals(slot);
    }

    List<Assignment> assignments() {
        var all = new ArrayList<Assignment>();
        all.add(delta);
        all.addAll(writes);
        return all;
    }
}
