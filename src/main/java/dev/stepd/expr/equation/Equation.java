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

    /// The same under another name.
    public Equation named(String other) {
        return new Equation(other, cases);
    }

    /// What stands on the right, on one line.
    public String value() {
        return cases.size() == 1 ? cases.getFirst().value()
                : String.join(", ", cases.stream().map(c -> c.value() + " " + c.when()).toList());
    }

    /// On one line.
    @Override
    public String toString() {
        return name + " = " + value();
    }
}
