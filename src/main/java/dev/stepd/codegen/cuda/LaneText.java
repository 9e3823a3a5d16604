package dev.stepd.codegen.cuda;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Program;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.stage.Stage;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiConsumer;

/// What a thread does for four neighbouring indexes: loads, computes, stores. Around it are `i`, the index of the first, `within`,
/// the same from the tensor's first, and which of the four count, `from` up to `to`.
final class LaneText {
    private final KernelText kernel;
    private final Scope scope;
    private final boolean aligned;
    /// Arrays that are not read from memory: where each is kept.
    private final Map<Buffer, String> kept;
    private final Set<Buffer> loaded = new HashSet<>();
    private final Set<Integer> located = new HashSet<>();

    /// @param scope of the indexes
    /// @param aligned whether the four begin at multiples of four, counted within the tensor
    /// @param kept arrays that the kernel has elsewhere; for a lane `k` the text is followed by `.at[k]` if they are of elements, else
    ///     indexed as the text says
    LaneText(KernelText kernel, Scope scope, boolean aligned, Map<Buffer, String> kept) {
        this.kernel = kernel;
        this.scope = scope;
        this.aligned = aligned;
        this.kept = kept;
    }

    /// Loads what `roots` need of arrays over the same indexes, and of blocks that four neighbours lie in.
    void loads(Lines out, List<Expr> roots) {
        for (var node : Program.nodes(roots)) {
            if (node instanceof Expr.Read(Buffer buffer) && !kept.containsKey(buffer) && !loaded.contains(buffer)) {
                if (buffer.scope().equals(scope)) {
                    loaded.add(buffer);
                    load(out, buffer);
                } else if (isOneForFour(buffer)) {
                    loaded.add(buffer);
                    locate(out, buffer.scope().size(), "");
                    out.line("const " + Types.stored(buffer.storage()) + " " + name(buffer) + " = " + read(buffer) + "[block"
                            + buffer.scope().size() + "];");
                }
            }
        }
    }

    private void load(Lines out, Buffer buffer) {
        var four = "const Four<" + Types.stored(buffer.storage()) + "> " + name(buffer);
        out.line(buffer.storage() == Type.I4
                ? four + " = load_halves(" + read(buffer) + " + " + halves() + ", from, to);"
                : four + " = load(" + read(buffer) + " + i, from, to);");
    }

    private String halves() {
        return kernel.pointers().firstBytes() + "[tile.tensor] + within / 2";
    }

    private boolean isOneForFour(Buffer buffer) {
        return aligned && scope.isElement() && buffer.scope().kind() == Scope.Kind.BLOCK && buffer.scope().size() % 4 == 0;
    }

    private void locate(Lines out, int blockSize, String plus) {
        if (plus.isEmpty() && !located.add(blockSize)) {
            return;
        }
        out.line("const long long block" + blockSize + " = " + kernel.pointers().firstBlocks(blockSize)
                + "[tile.tensor] + (" + (plus.isEmpty() ? "within" : plus) + ") / " + blockSize + ";");
    }

    /// Where lane `k`'s values of rows, columns and blocks are, if any of `roots` needs one. Lanes that do not count look where
    /// one does that counts.
    void places(Lines out, List<Expr> roots) {
        var scopes = new LinkedHashSet<Scope>(); // in an order that no hash decides: the text is a key
        for (var node : Program.nodes(roots)) {
            if (node instanceof Expr.Read(Buffer buffer) && isGathered(buffer)) {
                scopes.add(buffer.scope());
            }
        }
        if (scopes.isEmpty()) {
            return;
        }
        out.line("const long long place = within + at_most(at_least(k, from), at_least(to - 1, 0));");
        for (var of : scopes) {
            switch (of.kind()) {
                case ROW -> out.line("const long long row = tensor.row + quotient(place, tensor.columns);");
                case COLUMN -> {
                    out.line("const long long slab = quotient(place, tensor.rows * tensor.columns);");
                    out.line("const long long column = tensor.column + slab * tensor.columns"
                            + " + place - quotient(place, tensor.columns) * tensor.columns;");
                }
                case BLOCK -> locate(out, of.size(), "place");
                case GROUP, TENSOR -> out.line("const long long member = tile.first + place - tile.within;");
                case SESSION, ELEMENT -> throw new IllegalStateException("values of " + of + " in a pass over " + scope);
            }
        }
    }

    private boolean isGathered(Buffer buffer) {
        return !kept.containsKey(buffer) && !buffer.scope().equals(scope) && !isOneForFour(buffer)
                && !KernelText.isUniform(buffer.scope(), scope);
    }

    /// The value of an array for lane `k`.
    String value(Expr.Read node) {
        var buffer = node.buffer();
        var stored = element(buffer);
        return buffer.storage() == buffer.storage().loaded() ? stored : "(int) " + stored;
    }

    private String element(Buffer buffer) {
        if (kept.containsKey(buffer)) {
            return buffer.scope().isElement() ? kept.get(buffer) + ".at[k]" : kept.get(buffer);
        }
        if (buffer.scope().equals(scope)) {
            return name(buffer) + ".at[k]";
        }
        if (isOneForFour(buffer)) {
            return name(buffer);
        }
        return switch (buffer.scope().kind()) {
            case ROW -> read(buffer) + "[row]";
            case COLUMN -> read(buffer) + "[column]";
            case BLOCK -> read(buffer) + "[block" + buffer.scope().size() + "]";
            case GROUP -> scope.equals(Scope.TENSOR) ? read(buffer) + "[w.tensors[member].group]" : kernel.uniform(buffer);
            case SESSION, TENSOR -> kernel.uniform(buffer);
            case ELEMENT -> throw new IllegalStateException("elements in a pass over " + scope);
        };
    }

    /// Computes `roots` for each of the four and hands each lane's values on.
    ///
    /// @param use writes what becomes of lane `k`
    void lanes(Lines out, Values outer, List<Expr> roots, BiConsumer<Lines, Values> use) {
        out.line("#pragma unroll");
        out.open("for (int k = 0; k < 4; k++)");
        places(out, roots);
        var values = new Values(outer);
        values.declare(out, roots, this::value);
        use.accept(out, values);
        out.close();
    }

    /// Declares a place for the four values that are to be stored; returns its name.
    String next(Lines out, Buffer target) {
        var name = kernel.names().next(target);
        out.line("Four<" + Types.stored(target.storage()) + "> " + name + ";");
        return name;
    }

    /// Stores the four.
    void store(Lines out, Buffer target, String four) {
        var written = kernel.pointers().written(target);
        out.line(target.storage() == Type.I4
                ? "store_halves(" + written + " + " + halves() + ", to, " + four + ");"
                : "store(" + written + " + i, from, to, " + four + ");");
    }

    /// A value as it is stored.
    static String stored(Buffer target, String value) {
        return target.storage() == target.storage().loaded() ? value : "(" + Types.stored(target.storage()) + ") (" + value + ")";
    }

    private String name(Buffer buffer) {
        return kernel.names().of(buffer);
    }

    private String read(Buffer buffer) {
        return kernel.pointers().read(buffer);
    }

    /// The values of outputs.
    static List<Expr> roots(List<? extends Stage.Output> outputs) {
        var roots = new ArrayList<Expr>();
        outputs.forEach(output -> roots.add(output.value()));
        return roots;
    }

    static Map<Buffer, String> nothingKept() {
        return new HashMap<>();
    }
}
