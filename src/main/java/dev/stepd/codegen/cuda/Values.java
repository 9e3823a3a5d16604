package dev.stepd.codegen.cuda;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program;
import dev.stepd.expr.Table;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;

/// The values of a kernel as C: what several others need, or what would make a long line, as a constant of its own; the rest
/// inside of what needs it.
final class Values {
    private static final int LINE_LENGTH = 90;

    private final UnaryOperator<String> numbered;
    private final Function<Table, String> tables;
    private final Map<Expr, String> known = new IdentityHashMap<>();

    /// @param numbered makes a name that no other value of the kernel has
    /// @param tables where a table can be indexed
    Values(UnaryOperator<String> numbered, Function<Table, String> tables) {
        this.numbered = numbered;
        this.tables = tables;
    }

    /// Knows what the others know, and forgets what it learns.
    Values(Values outer) {
        this(outer.numbered, outer.tables);
        known.putAll(outer.known);
    }

    /// Declares what is the same throughout the place that `out` is at, where finer values need it.
    ///
    /// @param reads the text of an array's value
    void declareUniform(Lines out, List<Expr> roots, Predicate<Expr> uniform, Function<Expr.Read, String> reads) {
        var nodes = Program.nodes(roots);
        var needed = new ArrayList<Expr>();
        for (var node : nodes) {
            if (!uniform.test(node)) {
                node.operands().stream().filter(uniform).forEach(needed::add);
            }
        }
        roots.stream().filter(uniform).forEach(needed::add);
        declare(out, needed, reads);
        for (var node : needed) {
            if (!(node instanceof Expr.Const) && !isName(known.get(node))) {
                name(out, node, known.get(node));
            }
        }
    }

    /// Declares what `roots` are made of.
    void declare(Lines out, List<Expr> roots, Function<Expr.Read, String> reads) {
        var nodes = Program.nodes(roots);
        var uses = uses(nodes, roots);
        for (var node : nodes) {
            if (!known.containsKey(node)) {
                var text = node instanceof Expr.Read read ? reads.apply(read) : text(node);
                boolean named = !(node instanceof Expr.Read) && !(node instanceof Expr.Const)
                        && (uses.getOrDefault(node, 0) > 1 || text.length() > LINE_LENGTH);
                if (named) {
                    name(out, node, text);
                } else {
                    known.put(node, text);
                }
            }
        }
    }

    private void name(Lines out, Expr node, String text) {
        var name = numbered.apply("v");
        out.line("const " + Types.computed(node.type()) + " " + name + " = " + text + ";");
        known.put(node, name);
    }

    private static Map<Expr, Integer> uses(List<Expr> nodes, List<Expr> roots) {
        var uses = new IdentityHashMap<Expr, Integer>();
        nodes.forEach(node -> node.operands().forEach(operand -> uses.merge(operand, 1, Integer::sum)));
        roots.forEach(root -> uses.merge(root, 1, Integer::sum));
        return uses;
    }

    private String text(Expr node) {
        return switch (node) {
            case Expr.Lookup(Table table, Expr index) ->
                tables.apply(table) + "[" + operand(index) + " & " + (table.size() - 1) + "]";
            case Expr.Index() -> "(int) (tensor.origin + within + k)";
            default -> Operations.text(node, this::operand);
        };
    }

    /// A declared value.
    String value(Expr node) {
        return known.get(node);
    }

    /// A declared value as an operand of others.
    String operand(Expr node) {
        var text = known.get(node);
        return isName(text) || isCall(text) ? text : "(" + text + ")";
    }

    private static boolean isName(String text) {
        return text.matches("[A-Za-z_0-9.]+(\\[[^\\[\\]]+])?");
    }

    /// Whether the text is one call: the parenthesis that opens first closes last.
    private static boolean isCall(String text) {
        if (!text.matches("(?s)[A-Za-z_]\\w*\\(.*\\)")) {
            return false;
        }
        int depth = 0;
        for (int i = 0; i < text.length(); i++) {
            depth += text.charAt(i) == '(' ? 1 : text.charAt(i) == ')' ? -1 : 0;
            if (depth == 0 && text.charAt(i) == ')' && i + 1 < text.length()) {
                return false;
            }
        }
        return true;
    }
}
