package dev.stepd.expr;

import java.util.List;

/// A value of a program: a node of an acyclic graph whose shared nodes are computed once.
///
/// Values finer than a tensor's are of the program's element type where they are elements and f64 everywhere else.
/// A coarse value meeting a fine one is converted to the finer one's type, so `lr * g` rounds `lr` once.
/// Two nodes are the same value when they are the same object; `equals` walks the whole graph and is not to be used.
public sealed interface Expr {
    /// What one value is made of.
    Type type();

    /// What the value varies over: for an operation, what its operands vary over together.
    default Scope scope() {
        return Leaves.scope(this);
    }

    /// Whether the host knows the value before the step: everything it is made of are hyperparameters, counters
    /// and constants. Such values are f64 and evaluated once for each tensor or session.
    default boolean host() {
        return Leaves.host(this);
    }

    /// The nodes this one is made of.
    List<Expr> operands();

    /// The same operation on other operands.
    Expr with(List<Expr> operands);

    /// What values are made of in the end.
    sealed interface Leaf extends Expr {
        @Override
        default List<Expr> operands() {
            return List.of();
        }

        @Override
        default Expr with(List<Expr> operands) {
            return this;
        }
    }

    /// A literal.
    ///
    /// @param bits the value's bits, in the low half for 32-bit types; 0 or 1 for a boolean
    record Const(Type type, long bits) implements Leaf {
        @Override
        public Scope scope() {
            return Scope.SESSION;
        }
    }

    /// A hyperparameter: a number that a schedule may change between steps.
    ///
    /// @param scope `TENSOR`, since groups may differ in it, or `SESSION` for one that is the same for all
    record Hyper(String name, Scope scope) implements Leaf {
        public Hyper(String name) {
            this(name, Scope.TENSOR);
        }

        @Override
        public Type type() {
            return Type.F64;
        }
    }

    /// The number of this step, from 1.
    ///
    /// @param scope `TENSOR`: as a tensor counts it, which does not count steps it had no gradient in; `SESSION`: the
    ///     largest of those that take part
    record Counter(Scope scope) implements Leaf {
        public Counter() {
            this(Scope.TENSOR);
        }

        @Override
        public Type type() {
            return Type.F64;
        }
    }

    /// An element's index among those of the session, in the order the session declares its tensors: the low 32 bits.
    record Index() implements Leaf {
        @Override
        public Type type() {
            return Type.I32;
        }

        @Override
        public Scope scope() {
            return Scope.ELEMENT;
        }
    }

    /// 32 random bits for each element, others at every step ([Draws]). Two draws of one stream are one.
    record Draw(String stream) implements Leaf {
        @Override
        public Type type() {
            return Type.I32;
        }

        @Override
        public Scope scope() {
            return Scope.ELEMENT;
        }
    }

    /// The value an array holds before the step.
    record Read(Buffer buffer) implements Leaf {
        @Override
        public Type type() {
            return buffer.storage().loaded();
        }

        @Override
        public Scope scope() {
            return buffer.scope();
        }
    }

    record Unary(UnaryOp op, Expr x) implements Expr {
        public Unary {
            require(x.type().isReal(), op + " of " + x.type());
        }

        @Override
        public Type type() {
            return x.type();
        }

        @Override
        public List<Expr> operands() {
            return List.of(x);
        }

        @Override
        public Expr with(List<Expr> operands) {
            return new Unary(op, operands.getFirst());
        }
    }

    record Binary(BinaryOp op, Expr a, Expr b) implements Expr {
        public Binary {
            require(a.type() == b.type() && op.takes(a.type()), op + " of " + a.type() + " and " + b.type());
            require(!op.isShift() || b instanceof Const, op + " by a variable");
        }

        @Override
        public Type type() {
            return a.type();
        }

        @Override
        public List<Expr> operands() {
            return List.of(a, b);
        }

        @Override
        public Expr with(List<Expr> operands) {
            return new Binary(op, operands.get(0), operands.get(1));
        }
    }

    /// `a * b + c`, rounded once.
    record Fma(Expr a, Expr b, Expr c) implements Expr {
        public Fma {
            require(a.type().isReal() && a.type() == b.type() && a.type() == c.type(),
                    "FMA of " + a.type() + ", " + b.type() + " and " + c.type());
        }

        @Override
        public Type type() {
            return a.type();
        }

        @Override
        public List<Expr> operands() {
            return List.of(a, b, c);
        }

        @Override
        public Expr with(List<Expr> operands) {
            return new Fma(operands.get(0), operands.get(1), operands.get(2));
        }
    }

    record Compare(CompareOp op, Expr a, Expr b) implements Expr {
        public Compare {
            require(a.type() != Type.BOOL && a.type() == b.type(), op + " of " + a.type() + " and " + b.type());
        }

        @Override
        public Type type() {
            return Type.BOOL;
        }

        @Override
        public List<Expr> operands() {
            return List.of(a, b);
        }

        @Override
        public Expr with(List<Expr> operands) {
            return new Compare(op, operands.get(0), operands.get(1));
        }
    }

    /// `condition ? then : otherwise`. A condition the host knows selects the program instead of the value.
    record Select(Expr condition, Expr then, Expr otherwise) implements Expr {
        public Select {
            require(condition.type() == Type.BOOL && then.type() == otherwise.type() && then.type() != Type.BOOL,
                    "SELECT by " + condition.type() + " of " + then.type() + " and " + otherwise.type());
        }

        @Override
        public Type type() {
            return then.type();
        }

        @Override
        public List<Expr> operands() {
            return List.of(condition, then, otherwise);
        }

        @Override
        public Expr with(List<Expr> operands) {
            return new Select(operands.get(0), operands.get(1), operands.get(2));
        }
    }

    /// The value as another real or as `I32`: a real is rounded to nearest even; a whole number is what is left without the
    /// fraction, the nearest there is of a value out of range, and 0 of NaN.
    record Convert(Type type, Expr x) implements Expr {
        public Convert {
            require(converts(type) && converts(x.type()), "CONVERT of " + x.type() + " to " + type);
        }

        private static boolean converts(Type type) {
            return type.isReal() || type == Type.I32;
        }

        @Override
        public List<Expr> operands() {
            return List.of(x);
        }

        @Override
        public Expr with(List<Expr> operands) {
            return new Convert(type, operands.getFirst());
        }
    }

    /// The same bits as the type of the same width: a real as an integer or an integer as a real.
    record Bits(Expr x) implements Expr {
        @Override
        public Type type() {
            return x.type().twin();
        }

        @Override
        public List<Expr> operands() {
            return List.of(x);
        }

        @Override
        public Expr with(List<Expr> operands) {
            return new Bits(operands.getFirst());
        }
    }

    /// The value of a table at an index, whose bits above the table's size do not count.
    record Lookup(Table table, Expr index) implements Expr {
        public Lookup {
            require(index.type() == Type.I32, "LOOKUP at " + index.type());
        }

        @Override
        public Type type() {
            return table.type();
        }

        @Override
        public List<Expr> operands() {
            return List.of(index);
        }

        @Override
        public Expr with(List<Expr> operands) {
            return new Lookup(table, operands.getFirst());
        }
    }

    /// A reduction of the values of a finer scope within each index of `over`, in the order [Order] fixes.
    /// Tensors without gradient take no part.
    record Reduce(ReduceOp op, Scope over, Expr x) implements Expr {
        public Reduce {
            require(x.type() == Type.F64 || (op.exact() && x.type() == Type.F32),
                    op + " accumulates in F64, not in " + x.type());
            require(over.coarserThan(x.scope()), "reduction of " + x.scope() + " over " + over);
        }

        @Override
        public Type type() {
            return x.type();
        }

        @Override
        public Scope scope() {
            return over;
        }

        @Override
        public List<Expr> operands() {
            return List.of(x);
        }

        @Override
        public Expr with(List<Expr> operands) {
            return new Reduce(op, over, operands.getFirst());
        }
    }

    /// The `rank`-th largest value of a finer scope within each index of `over`: 1 for the largest, equal ones counted one by one.
    /// NaN is no number and not counted; where there are fewer numbers than `rank`, or it is below 1, the result is NaN. A zero
    /// comes out positive. Tensors without gradient take no part.
    ///
    /// @param rank a whole number, the same within each index of `over`
    record Ranked(Scope over, Expr x, Expr rank) implements Expr {
        public Ranked {
            require(x.type().isReal() && rank.type() == Type.F64, "the " + rank.type() + "-th of " + x.type());
            require(over.coarserThan(x.scope()), "ranking of " + x.scope() + " over " + over);
            require(rank.scope().equals(over) || rank.scope().coarserThan(over), "a rank by " + rank.scope());
        }

        @Override
        public Type type() {
            return Type.F64;
        }

        @Override
        public Scope scope() {
            return over;
        }

        @Override
        public List<Expr> operands() {
            return List.of(x, rank);
        }

        @Override
        public Expr with(List<Expr> operands) {
            return new Ranked(over, operands.get(0), operands.get(1));
        }
    }

    /// The sum of a tensor's value and those of all tensors before it, in the session's order: `r = r_before + x`, in f64.
    /// Tensors without gradient take no part.
    record RunningSum(Expr x) implements Expr {
        public RunningSum {
            require(x.type() == Type.F64 && x.scope().equals(Scope.TENSOR), "running sum of " + x.type() + " by " + x.scope());
        }

        @Override
        public Type type() {
            return Type.F64;
        }

        @Override
        public List<Expr> operands() {
            return List.of(x);
        }

        @Override
        public Expr with(List<Expr> operands) {
            return new RunningSum(operands.getFirst());
        }
    }

    // What rules are written with.

    static Expr constant(double value) {
        return new Const(Type.F64, Double.doubleToRawLongBits(value));
    }

    static Expr integer(int value) {
        return new Const(Type.I32, value);
    }

    static Expr constant(Type type, double value) {
        return new Const(type, Scalar.of(type, value));
    }

    default Expr plus(Expr other) {
        return binary(BinaryOp.ADD, this, other);
    }

    default Expr plus(double other) {
        return plus(constant(other));
    }

    default Expr minus(Expr other) {
        return binary(BinaryOp.SUB, this, other);
    }

    default Expr minus(double other) {
        return minus(constant(other));
    }

    default Expr times(Expr other) {
        return binary(BinaryOp.MUL, this, other);
    }

    default Expr times(double other) {
        return times(constant(other));
    }

    default Expr over(Expr other) {
        return binary(BinaryOp.DIV, this, other);
    }

    default Expr over(double other) {
        return over(constant(other));
    }

    default Expr negate() {
        return new Unary(UnaryOp.NEG, this);
    }

    default Expr squared() {
        return times(this);
    }

    /// This value as `type`, or itself when it already is.
    default Expr as(Type type) {
        if (type() == type) {
            return this;
        }
        return this instanceof Const c && type.isReal() ? new Const(type, Scalar.convert(c.type(), type, c.bits()))
                : new Convert(type, this);
    }

    static Expr binary(BinaryOp op, Expr a, Expr b) {
        var type = common(a, b);
        return new Binary(op, a.as(type), b.as(type));
    }

    static Expr compare(CompareOp op, Expr a, Expr b) {
        var type = common(a, b);
        return new Compare(op, a.as(type), b.as(type));
    }

    static Expr select(Expr condition, Expr then, Expr otherwise) {
        var type = common(then, otherwise);
        return new Select(condition, then.as(type), otherwise.as(type));
    }

    /// The type two values meet in: that of the one with the finer scope; a constant takes the other's.
    private static Type common(Expr a, Expr b) {
        if (a.type() == b.type() || b instanceof Const) {
            return a.type();
        }
        if (a instanceof Const) {
            return b.type();
        }
        require(!a.scope().equals(b.scope()), a.type() + " meets " + b.type() + " in one scope: convert one");
        return a.scope().coarserThan(b.scope()) ? b.type() : a.type();
    }

    private static void require(boolean condition, String message) {
        if (!condition) {
            throw new IllegalStateException("ill-typed expression: " + message);
        }
    }
}
