package dev.stepd.codegen.cuda;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Table;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;

/// What arrays and tables are called in a program's text: as in the program where C allows it.
final class Names {
    /// What the text around uses itself.
    private static final Set<String> TAKEN = Set.of("a", "w", "i", "k", "n", "at", "tile", "tensor", "from", "to", "within", "shared",
            "block", "blocks", "place", "start", "count", "run", "runs", "group", "lane", "row", "float", "double", "int", "long", "short",
            "char", "signed", "unsigned", "const", "void", "for", "if", "else", "do", "while", "new", "delete", "auto", "register", "static",
            "template", "this", "union", "struct", "default", "bool", "true", "false", "load", "store", "whole", "larger", "quotient");

    private final Map<Object, String> names = new HashMap<>();
    private final Set<String> used = new HashSet<>(TAKEN);

    String of(Buffer buffer) {
        return named(buffer, () -> fresh(switch (buffer.kind()) {
            case GRAD, DELTA, PARAM -> buffer.kind().name().toLowerCase(java.util.Locale.ROOT);
            case SLOT, INPUT -> buffer.name();
            case HOST -> buffer.name();
            case EXTENT -> "count_of_" + buffer.scope();
            case TEMP -> "t" + buffer.name();
            case METRIC -> buffer.name();
        }));
    }

    /// What becomes of an array.
    String next(Buffer buffer) {
        return named(List.of("next", buffer), () -> fresh("next_" + of(buffer)));
    }

    String of(Table table) {
        return named(table, () -> fresh(table.name()));
    }

    private String named(Object what, Supplier<String> name) {
        var known = names.get(what);
        if (known == null) {
            known = name.get();
            names.put(what, known);
        }
        return known;
    }

    private String fresh(String wished) {
        var name = wished.replaceAll("[^A-Za-z0-9_]", "_");
        name = Character.isDigit(name.charAt(0)) || name.matches("v\\d+") ? "_" + name : name;
        var unique = name;
        for (int i = 2; !used.add(unique); i++) {
            unique = name + "_" + i;
        }
        return unique;
    }
}
