package dev.stepd.device;

import dev.stepd.expr.Scope;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// Fills the arrays that say how many elements each index of a scope covers.
public final class Extents {
    private Extents() {}

    public static void fill(MemorySegment into, Scope scope, Domain domain, Spans spans) {
        switch (scope.kind()) {
            case SESSION, GROUP -> fillShared(into, scope, domain, spans);
            case TENSOR, ROW, COLUMN, BLOCK, ELEMENT -> fillByTensor(into, scope, domain);
        }
    }

    private static void fillShared(MemorySegment into, Scope scope, Domain domain, Spans spans) {
        for (long i = 0; i < domain.count(scope); i++) {
            into.setAtIndex(ValueLayout.JAVA_DOUBLE, i, 0);
        }
        for (int position = 0; position < domain.tensors().size(); position++) {
            var tensor = domain.tensors().get(position);
            if (spans.contains(position)) {
                long i = scope.equals(Scope.SESSION) ? 0 : tensor.group();
                double sum = into.getAtIndex(ValueLayout.JAVA_DOUBLE, i) + tensor.elements();
                into.setAtIndex(ValueLayout.JAVA_DOUBLE, i, sum);
            }
        }
    }

    private static void fillByTensor(MemorySegment into, Scope scope, Domain domain) {
        long index = 0;
        for (var tensor : domain.tensors()) {
            for (long i = 0; i < tensor.count(scope); i++) {
                into.setAtIndex(ValueLayout.JAVA_DOUBLE, index++, switch (scope.kind()) {
                    case TENSOR -> tensor.elements();
                    case ROW -> tensor.columns();
                    case COLUMN -> tensor.rows();
                    case BLOCK -> Math.min(scope.size(), tensor.elements() - i * scope.size());
                    case ELEMENT -> 1;
                    case SESSION, GROUP -> throw new IllegalStateException(scope + " is shared");
                });
            }
        }
    }
}
