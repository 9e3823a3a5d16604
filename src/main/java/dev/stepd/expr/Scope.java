package dev.stepd.expr;

/// What a value varies over. One `TENSOR` value exists for each tensor, one `ROW` value for each row of each tensor's
/// matrix view `[extents[0], rest]`, one `BLOCK` value for each `size` consecutive elements of a tensor.
///
/// @param size elements of a block; 0 for every other kind
public record Scope(Kind kind, int size) {
    /// From coarse to fine. `ROW`, `COLUMN` and `BLOCK` do not contain each other.
    public enum Kind {
        SESSION,
        GROUP,
        TENSOR,
        ROW,
        COLUMN,
        BLOCK,
        ELEMENT
    }

    public static final Scope SESSION = new Scope(Kind.SESSION, 0);
    public static final Scope GROUP = new Scope(Kind.GROUP, 0);
    public static final Scope TENSOR = new Scope(Kind.TENSOR, 0);
    public static final Scope ROW = new Scope(Kind.ROW, 0);
    public static final Scope COLUMN = new Scope(Kind.COLUMN, 0);
    public static final Scope ELEMENT = new Scope(Kind.ELEMENT, 0);

    public Scope {
        if ((kind == Kind.BLOCK) != (size > 0)) {
            throw new IllegalStateException("a block has a size and nothing else has: " + kind + " " + size);
        }
    }

    public static Scope block(int size) {
        return new Scope(Kind.BLOCK, size);
    }

    /// The coarsest scope that both values are constant within: what their sum varies over.
    public Scope join(Scope other) {
        if (equals(other)) {
            return this;
        }
        if (coarserThan(other)) {
            return other;
        }
        return other.coarserThan(this) ? this : ELEMENT;
    }

    /// Whether a value of this scope is constant within each index of `other`, and not the other way round.
    public boolean coarserThan(Scope other) {
        if (kind.ordinal() <= Kind.TENSOR.ordinal() || other.kind == Kind.ELEMENT) {
            return kind.ordinal() < other.kind.ordinal();
        }
        return false;
    }

    public boolean isElement() {
        return kind == Kind.ELEMENT;
    }

    @Override
    public String toString() {
        return kind == Kind.BLOCK ? "block" + size : kind.name().toLowerCase(java.util.Locale.ROOT);
    }
}
