package dev.stepd.expr.codec;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Program;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.rewrite.Rewrite;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// `slot -> decode(codes)` and `slot <- x -> codes <- encode(x)`: a program over f32 slots becomes one over what they are stored
/// as. Slots that are not named stay.
///
/// What a step leaves as it was keeps its codes: encoding what was decoded is no identity, since a block's largest value may
/// have lost some of its size. So `slot <- slot` goes, and where the host chooses between a new value and the old one it
/// chooses between new codes and the old.
public final class StoreSlots implements Rewrite {
    private final Map<Buffer, Codec> codecs;

    /// @param codecs by the slot as the program has it: element-wise, f32
    public StoreSlots(Map<Buffer, Codec> codecs) {
        this.codecs = Map.copyOf(codecs);
    }

    @Override
    public Program apply(Program program) {
        var reads = new HashMap<Buffer, Expr>();
        var decoded = Rewrite.bottomUp(program, node -> node instanceof Expr.Read(Buffer slot) && codecs.containsKey(slot)
                ? reads.computeIfAbsent(slot, s -> codecs.get(s).decode(s))
                : node);
        var assignments = new ArrayList<Assignment>();
        for (int i = 0; i < program.assignments().size(); i++) {
            var before = program.assignments().get(i);
            var slot = before.target();
            var after = decoded.assignments().get(i).value();
            if (!codecs.containsKey(slot)) {
                assignments.add(new Assignment(slot, after));
            } else if (!keeps(before.value(), slot)) {
                assignments.addAll(stored(slot, before.value(), after));
            }
        }
        return new Program(assignments);
    }

    private static boolean keeps(Expr value, Buffer slot) {
        return value instanceof Expr.Read(Buffer read) && read.equals(slot);
    }

    private List<Assignment> stored(Buffer slot, Expr before, Expr after) {
        var arrays = codecs.get(slot).arrays(slot);
        var values = values(slot, before, after);
        var assignments = new ArrayList<Assignment>();
        for (int i = 0; i < arrays.size(); i++) {
            assignments.add(new Assignment(arrays.get(i), values.get(i)));
        }
        return assignments;
    }

    /// What the arrays of a slot become.
    ///
    /// @param before the slot's value in the program over f32 slots
    /// @param after the same value, made of what they are stored as
    private List<Expr> values(Buffer slot, Expr before, Expr after) {
        if (keeps(before, slot)) {
            return codecs.get(slot).arrays(slot).stream().<Expr>map(Expr.Read::new).toList();
        }
        if (before instanceof Expr.Select(Expr condition, Expr thenBefore, Expr elseBefore) && condition.host()
                && after instanceof Expr.Select(_, Expr thenAfter, Expr elseAfter)) {
            var chosen = values(slot, thenBefore, thenAfter);
            var others = values(slot, elseBefore, elseAfter);
            var values = new ArrayList<Expr>();
            for (int i = 0; i < chosen.size(); i++) {
                values.add(new Expr.Select(condition, chosen.get(i), others.get(i)));
            }
            return values;
        }
        return codecs.get(slot).encode(slot, after);
    }
}
