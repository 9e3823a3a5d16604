package dev.stepd.expr.stage;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Scope;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// What a plan leaves in deltas and parameters, for passes that sum it while it is in the cache: the phase that writes them gets such
/// a pass behind its own, tile after tile. Nothing of what the plan does changes.
final class Leftovers {
    /// Elements of the blocks that are summed first: few enough that a tile has many, so that on a GPU many threads sum at once.
    static final int BLOCK_ELEMENTS = 256;
    private static final Scope BLOCK = Scope.block(BLOCK_ELEMENTS);

    private final Plan plan;
    /// Of the last phase that writes what is to be summed.
    private final int position;
    private final Optional<Scope> unit;
    private final Scope over;

    Leftovers(Plan plan) {
        this.plan = plan;
        this.position = lastThatLeaves(plan.phases());
        var own = position < 0 ? Optional.<Scope>empty() : unit(plan.phases().get(position));
        this.over = own.filter(Scope.ROW::equals).orElse(BLOCK);
        this.unit = own.flatMap(scope -> new Phases.Unit(scope).and(over));
    }

    private static int lastThatLeaves(List<Phase> phases) {
        for (int i = phases.size() - 1; i >= 0; i--) {
            if (phases.get(i).passes().stream().anyMatch(Leftovers::leaves)) {
                return i;
            }
        }
        return -1;
    }

    private static boolean leaves(Stage stage) {
        return stage.outputs().stream().map(output -> output.target().kind())
                .anyMatch(kind -> kind == Buffer.Kind.DELTA || kind == Buffer.Kind.PARAM);
    }

    /// What the phase's tiles are whole numbers of, or would be; nothing where its runs end wherever anything does.
    private static Optional<Scope> unit(Phase phase) {
        if (phase.tiling().isPresent()) {
            return phase.tiling().map(Phase.Tiling::unit);
        }
        var pass = phase.passes().getFirst();
        var runs = pass.runs();
        return runs.isElement() ? Optional.empty()
                : runs.equals(Scope.ROW) ? Optional.of(runs)
                : Optional.of(Phases.withReads(List.of(pass), pass.packs() ? Phases.PAIR : Scope.ELEMENT));
    }

    /// What elements are to be summed over first.
    Scope over() {
        return over;
    }

    /// The plan followed by passes over what it leaves.
    ///
    /// @param stages in order; the first one sums elements
    Plan with(List<Stage> stages) {
        var phases = new ArrayList<>(plan.phases());
        int from = 0;
        if (unit.isPresent()) {
            phases.set(position, joined(phases.get(position), stages.getFirst(), unit.get()));
            from = 1;
        }
        stages.subList(from, stages.size()).forEach(stage -> phases.add(Phase.pass(stage)));
        return new Plan(plan.hosts(), phases);
    }

    private static Phase joined(Phase phase, Stage sums, Scope unit) {
        var locals = phase.tiling().map(Phase.Tiling::locals).orElse(List.of());
        return new Phase(and(phase.passes(), sums), Optional.of(new Phase.Tiling(unit, and(phase.stages(), sums), locals)));
    }

    private static List<Stage> and(List<Stage> stages, Stage last) {
        var all = new ArrayList<>(stages);
        all.add(last);
        return all;
    }
}
