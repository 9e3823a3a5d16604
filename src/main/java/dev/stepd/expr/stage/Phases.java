package dev.stepd.expr.stage;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Scope;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/// Orders stages and puts those together that can run tile after tile.
///
/// Passes that fold over more than a tile, and all that they need, go first. What is ready then and local to a tile becomes
/// one [Phase], and so on. A pass that overwrites an array runs after all that read it. Stages are told apart by identity: to
/// compare them would be to walk their graphs.
final class Phases {
    static final Scope PAIR = Scope.block(2);

    private final List<Stage> left;
    private final Sharing.Names names;
    private final List<Phase> phases = new ArrayList<>();

    private Phases(List<Stage> stages, Sharing.Names names) {
        this.left = new ArrayList<>(stages);
        this.names = names;
    }

    /// @param stages as whole passes, in an order in which they may run
    /// @param names for the arrays that tiles add
    static List<Phase> of(List<Stage> stages, Sharing.Names names) {
        var phases = new Phases(stages, names);
        while (!phases.left.isEmpty()) {
            int before = phases.left.size();
            phases.takePasses();
            phases.takeTile();
            if (phases.left.size() == before) {
                throw new IllegalStateException("stages wait for each other: " + phases.left);
            }
        }
        return phases.phases;
    }

    private void takePasses() {
        for (int i = 0; i < left.size(); i++) {
            if (required(left.get(i)).isEmpty() && ready(left.get(i), Set.of())) {
                phases.add(Phase.pass(left.remove(i)));
                i = -1; // it may have been what an earlier one waited for
            }
        }
    }

    private void takeTile() {
        Set<Stage> taken = Collections.newSetFromMap(new IdentityHashMap<>());
        var together = new ArrayList<Stage>();
        var unit = Scope.ELEMENT;
        for (int i = 0; i < left.size(); i++) {
            var stage = left.get(i);
            var joined = taken.contains(stage) ? Optional.<Scope>empty() : required(stage).flatMap(new Unit(unit)::and);
            if (joined.isPresent() && ready(stage, taken)) {
                taken.add(stage);
                together.add(stage);
                unit = joined.get();
                i = -1;
            }
        }
        if (!together.isEmpty()) {
            left.removeIf(taken::contains);
            phases.add(phase(together, withReads(together, unit)));
        }
    }

    /// One pass of writes over the same blocks or rows where there were several, if nothing in between keeps them apart.
    private static List<Stage> merged(List<Stage> stages) {
        var merged = new ArrayList<Stage>();
        for (var stage : stages) {
            int into = merged.size() - 1;
            while (into >= 0 && !alike(merged.get(into), stage) && !precedes(merged.get(into), stage)) {
                into--;
            }
            if (into >= 0 && !precedes(merged.get(into), stage)) {
                var outputs = new ArrayList<>(merged.get(into).outputs());
                outputs.addAll(stage.outputs());
                merged.set(into, new Stage(stage.scope(), outputs));
            } else {
                merged.add(stage);
            }
        }
        return merged;
    }

    private static boolean alike(Stage a, Stage b) {
        return !a.folds() && !b.folds() && a.scope().equals(b.scope()) && !a.scope().isElement();
    }

    private Phase phase(List<Stage> together, Scope unit) {
        var first = together.getFirst();
        if (together.size() == 1 && (unit.isElement() || !first.runs().equals(unit))) {
            return Phase.pass(first);
        }
        var shared = merged(Sharing.share(together, names));
        var locals = new ArrayList<>(Phase.temps(shared));
        locals.removeIf(temp -> left.stream().anyMatch(later -> later.reads().contains(temp)));
        return new Phase(together, Optional.of(new Phase.Tiling(unit, shared, locals)));
    }

    /// What tiles must be whole numbers of for a stage to be local to them; nothing for a stage that never is.
    private static Optional<Scope> required(Stage stage) {
        var scope = stage.scope();
        var over = stage.over();
        var none = new Unit(stage.packs() ? PAIR : Scope.ELEMENT); // no tile begins within a byte
        return switch (scope.kind()) {
            case SESSION, GROUP, TENSOR, COLUMN -> Optional.empty();
            case ROW, BLOCK -> stage.folds() ? Optional.empty() : none.and(scope);
            case ELEMENT -> switch (over.kind()) {
                case SESSION, GROUP, TENSOR, COLUMN -> Optional.empty();
                case ROW, BLOCK, ELEMENT -> none.and(over);
            };
        };
    }

    /// A unit that also has whole runs of what the stages read, where there is one.
    static Scope withReads(List<Stage> stages, Scope unit) {
        var wider = unit;
        for (var stage : stages) {
            for (var buffer : stage.reads()) {
                if (buffer.scope().kind() == Scope.Kind.BLOCK || buffer.scope().equals(Scope.ROW)) {
                    wider = new Unit(wider).and(buffer.scope()).orElse(wider);
                }
            }
        }
        return wider;
    }

    /// Whether nothing that is still to run, but for `before`, has to run earlier.
    private boolean ready(Stage stage, Set<Stage> before) {
        return left.stream()
                .noneMatch(other -> other != stage && !before.contains(other) && precedes(other, stage));
    }

    private static boolean precedes(Stage a, Stage b) {
        var makes = a.outputs().stream().map(Stage.Output::target);
        var overwrites = b.outputs().stream().map(Stage.Output::target).filter(target -> target.kind() != Buffer.Kind.TEMP);
        return makes.anyMatch(made -> made.kind() == Buffer.Kind.TEMP && b.reads().contains(made))
                || overwrites.anyMatch(target -> a.reads().stream().anyMatch(read -> sameMemory(read, target)));
    }

    private static boolean sameMemory(Buffer read, Buffer target) {
        return read.equals(target) || read.kind() == Buffer.Kind.GRAD && target.kind() == Buffer.Kind.DELTA;
    }

    /// What tiles are whole numbers of.
    record Unit(Scope scope) {
        /// The shortest that is a whole number of both, if it is short enough. Rows have lengths of their own in each tensor.
        Optional<Scope> and(Scope other) {
            if (other.isElement() || other.equals(scope)) {
                return Optional.of(scope);
            }
            if (other.kind() == Scope.Kind.BLOCK && scope.kind() == Scope.Kind.BLOCK) {
                return block((long) scope.size() / gcd(scope.size(), other.size()) * other.size());
            }
            return !scope.isElement() ? Optional.empty()
                    : other.equals(Scope.ROW) ? Optional.of(other) : block(other.size());
        }

        private static Optional<Scope> block(long size) {
            return size <= Phase.UNIT_ELEMENTS_MAX ? Optional.of(Scope.block((int) size)) : Optional.empty();
        }

        private static int gcd(int a, int b) {
            return b == 0 ? a : gcd(b, a % b);
        }
    }
}
