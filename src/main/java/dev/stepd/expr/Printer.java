package dev.stepd.expr;

import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;

/// Writes programs as text: one line for each value used more than once, then one for each assignment. The text is
/// complete, so equal texts mean equal programs: it is what kernels are cached and snapshots are checked by.
public final class Printer {
    private final Map<Expr, Integer> uses = new IdentityHashMap<>();
    private final Map<Expr, String> names = new IdentityHashMap<>();
    private final List<String> lines = new ArrayList<>();

    private Printer() {}

    public static String print(Program program) {
        var printer = new Printer();
        printer.declare(program);
        var roots = program.assignments().stream().map(Program.Assignment::value).toList();
        printer.count(roots);
        for (var assignment : program.assignments()) {
            var value = printer.show(assignment.value());
            printer.lines.add(assignment.target() + " <- " + value);
        }
        return String.join("\n", printer.lines) + "\n";
    }

    /// One expression on its own, shared nodes repeated.
    public static String print(Expr expr) {
        return new Printer().show(expr);
    }

    private void declare(Program program) {
        var buffers = new LinkedHashSet<>(program.reads());
        program.assignments().forEach(a -> buffers.add(a.target()));
        for (var buffer : buffers) {
            lines.add("array " + buffer + ": " + type(buffer.storage()) + " " + buffer.scope());
        }
    }

    private void count(List<Expr> roots) {
        for (var node : Program.nodes(roots)) {
            node.operands().forEach(operand -> uses.merge(operand, 1, Integer::sum));
        }
        roots.forEach(root -> uses.merge(root, 1, Integer::sum));
    }

    private String show(Expr node) {
        var known = names.get(node);
        if (known != null) {
            return known;
        }
        var text = text(node);
        if (node.operands().isEmpty() || uses.getOrDefault(node, 0) < 2) {
            return text;
        }
        var name = "v" + names.size();
        names.put(node, name);
        lines.add("%s: %s %s = %s".formatted(name, type(node.type()), node.scope(), text));
        return name;
    }

    private String text(Expr node) {
        return switch (node) {
            case Expr.Const(Type type, long bits) -> literal(type, bits);
            case Expr.Hyper(String name, _) -> name;
            case Expr.Counter(Scope scope) -> scope.equals(Scope.SESSION) ? "t_max" : "t";
            case Expr.Index() -> "index";
            case Expr.Draw(String stream) -> "draw(" + stream + ")";
            case Expr.Read(Buffer buffer) -> buffer.toString();
            case Expr.Unary(UnaryOp op, Expr x) when op == UnaryOp.NEG -> "-" + show(x);
            case Expr.Unary(UnaryOp op, Expr x) -> call(op.name(), x);
            case Expr.Binary(BinaryOp op, Expr a, Expr b) when Character.isLetter(op.symbol().charAt(0)) ->
                call(op.symbol(), a, b);
            case Expr.Binary(BinaryOp op, Expr a, Expr b) -> "(" + show(a) + " " + op.symbol() + " " + show(b) + ")";
            case Expr.Fma(Expr a, Expr b, Expr c) -> call("fma", a, b, c);
            case Expr.Compare(CompareOp op, Expr a, Expr b) -> "(" + show(a) + " " + op.symbol() + " " + show(b) + ")";
            case Expr.Select(Expr condition, Expr then, Expr otherwise) -> call("select", condition, then, otherwise);
            case Expr.Convert(Type type, Expr x) -> call(type(type), x);
            case Expr.Bits(Expr x) -> call("bits", x);
            case Expr.Lookup(Table table, Expr index) -> table + "(" + show(index) + ")";
            case Expr.Reduce(ReduceOp op, Scope over, Expr x) -> call(op.name() + "[" + over + "]", x);
            case Expr.RunningSum(Expr x) -> call("running_sum", x);
            case Expr.Ranked(Scope over, Expr x, Expr rank) -> call("ranked[" + over + "]", x, rank);
        };
    }

    private String call(String name, Expr... operands) {
        var shown = new ArrayList<String>();
        for (var operand : operands) {
            shown.add(show(operand));
        }
        return name.toLowerCase(java.util.Locale.ROOT) + "(" + String.join(", ", shown) + ")";
    }

    private static String literal(Type type, long bits) {
        return switch (type) {
            case F32 -> Float.intBitsToFloat((int) bits) + "f";
            case F64 -> Double.toString(Double.longBitsToDouble(bits));
            case I4, I8, I16, I32 -> "0x" + Integer.toHexString((int) bits);
            case I64 -> "0x" + Long.toHexString(bits) + "L";
            case BOOL -> bits == 0 ? "false" : "true";
        };
    }

    private static String type(Type type) {
        return type.name().toLowerCase(java.util.Locale.ROOT);
    }
}
