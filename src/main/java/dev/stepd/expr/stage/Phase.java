package dev.stepd.expr.stage;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Scope;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/// Stages that run next: one as a pass over all memory, or several together, tile after tile.
///
/// @param passes the stages as passes over all memory, in order
/// @param tiling how they run together, where they do: for tensors whose [Tiling#unit] is longer than a tile may be,
///     `passes` run instead and give the same bits
public record Phase(List<Stage> passes, Optional<Tiling> tiling) {
    /// How stages run together. A tile is a stretch of one tensor's elements, a whole number of `unit`s but for a block that
    /// the end of the tensor cuts short. All that a stage reads of what an earlier one wrote lies in the same tile, so they run
    /// one after the other for each tile while it is in the cache, and threads share nothing.
    ///
    /// @param unit `ROW`, a block that all blocks concerned divide, or `ELEMENT` where tiles may end anywhere
    /// @param stages in order; what several of them compute alike is computed once and passed on in `locals`
    /// @param locals arrays that only these stages use: no more than a tile of each needs to exist at a time
    public record Tiling(Scope unit, List<Stage> stages, List<Buffer> locals) {
        public Tiling {
            stages = List.copyOf(stages);
            locals = List.copyOf(locals);
        }
    }

    /// Elements of the longest unit that is run as tiles: as many arrays as rules use fit a core's cache at this length.
    public static final int UNIT_ELEMENTS_MAX = 16 * 1024;

    public Phase {
        passes = List.copyOf(passes);
        if (tiling.isEmpty() && passes.size() != 1) {
            throw new IllegalStateException("stages run together in tiles only: " + passes);
        }
    }

    static Phase pass(Stage stage) {
        return new Phase(List.of(stage), Optional.empty());
    }

    /// The stages as they run where tensors allow.
    public List<Stage> stages() {
        return tiling.map(Tiling::stages).orElse(passes);
    }

    /// The arrays that `stages` write and read again, and nothing of the program names.
    static Set<Buffer> temps(List<Stage> stages) {
        var temps = new LinkedHashSet<Buffer>();
        for (var stage : stages) {
            stage.outputs().stream().map(Stage.Output::target).filter(b -> b.kind() == Buffer.Kind.TEMP).forEach(temps::add);
        }
        return temps;
    }
}
