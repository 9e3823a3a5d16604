package dev.stepd.expr.equation;

import java.util.List;

/// `name = value`, the value depending on conditions where there is more than one case.
///
/// @param cases never empty; the first whose condition holds counts, and the last has none
public record Equation(String name, List<Case> cases) {
    /// @param condition empty: otherwise
    public record Case(String value, String condition) {
        String when() {
            return condition.isEmpty() ? "otherwise" : "if " + condition;
        }
    }

    public Equation {
        cases = List.copyOf(cases);
    }

    /// On one line.
    @Override
    public String toString() {
        if (cases.size() == 1) {
            return name + " = " + cases.getFirst().value();
        }
        return name + " = " + String.join(", ", cases.stream().map(c -> c.value() + " " + c.when()).toList());
    }
}
