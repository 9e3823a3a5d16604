package dev.stepd.rule;

import dev.stepd.error.ServiceException;
import dev.stepd.expr.BinaryOp;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.CompareOp;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.ReduceOp;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.UnaryOp;
import java.util.List;

/// What a rule writes its step with: the values before the step, the settings, and the vocabulary of papers.
public final class Inputs {
    static final String MAXIMIZE = "maximize";
    static final String RATE = "lr";

    /// What the name of a number begins with that is 1 in steps that bring the input it names, and 0 in others. Like
    /// hyperparameters such numbers are known to the host before the step.
    public static final String GIVEN = "given:";

    private final Part part;
    private final Settings settings;
    private final String kind;
    private final Type element;
    private final Inner.Terms terms;
    /// Whether the update that wrappers change has passed by.
    private boolean updated;

    /// @param part whose hyperparameters and slots are meant
    /// @param kind what the tensors are to the rule ([View#kind])
    /// @param element what elements are computed in; state that is kept for each element is stored so too
    Inputs(Part part, Settings settings, String kind, Type element, Inner.Terms terms) {
        this.part = part;
        this.settings = settings;
        this.kind = kind;
        this.element = element;
        this.terms = terms;
    }

    /// The gradient, negated when the session maximizes.
    Expr grad() {
        boolean maximizes = part.spec().hyperparameter(MAXIMIZE).isPresent() && flag(MAXIMIZE);
        return maximizes ? terms.grad().negate() : terms.grad();
    }

    /// The gradient with coupled weight decay (L2): `g + weight_decay * p`.
    Expr decayedGrad() {
        return on("weight_decay") ? grad().plus(hyper("weight_decay").times(param())) : grad();
    }

    /// A step with decoupled weight decay: `step - lr * weight_decay * p`.
    Expr decoupledDecay(Expr step) {
        return decoupledDecay(step, hyper("lr"));
    }

    /// Decoupled weight decay at another rate than `lr`: `step - rate * weight_decay * p`.
    Expr decoupledDecay(Expr step, Expr rate) {
        var update = updated(step);
        return on("weight_decay") ? update.minus(rate.times(hyper("weight_decay")).times(param())) : update;
    }

    /// A step after which what results shrinks by `share`: `(p + step) * (1 - share) - p`.
    Expr decayedAfter(Expr step, Expr share) {
        return updated(step).times(one().minus(share)).minus(share.times(param()));
    }

    /// The update as wrappers leave it: once for each step, where decay joins or else where the parameter moves.
    private Expr updated(Expr update) {
        updated = true;
        return terms.update().apply(update, grad());
    }

    Expr param() {
        return new Expr.Read(param(element));
    }

    /// The array of parameter values.
    public static Buffer param(Type element) {
        return new Buffer(Buffer.Kind.PARAM, "param", Scope.ELEMENT, element);
    }

    /// The array of gradients as they came.
    public static Buffer grad(Type element) {
        return new Buffer(Buffer.Kind.GRAD, "grad", Scope.ELEMENT, element);
    }

    /// The array of deltas: the gradients' memory.
    public static Buffer delta(Type element) {
        return new Buffer(Buffer.Kind.DELTA, "delta", Scope.ELEMENT, element);
    }

    /// The step as the tensor that counted most of them does, from 1: one value for the session.
    Expr sessionT() {
        return new Expr.Counter(Scope.SESSION);
    }

    /// The step as the tensor counts it, from 1.
    Expr t() {
        return new Expr.Counter();
    }

    /// A number that may change with group and step.
    Expr hyper(String name) {
        expect(part.spec().hyperparameter(name).orElse(null) instanceof Hyperparameter.Real, name);
        boolean shared = !part.isOptimizer() || part.spec().shared().contains(name);
        var number = new Expr.Hyper(part.qualified(name), shared ? Scope.SESSION : Scope.TENSOR);
        return part.isOptimizer() && name.equals(RATE) ? terms.rate().apply(number) : number;
    }

    /// The numbers of a list.
    List<Expr> hypers(String list) {
        return settings.elements(list).stream().<Expr>map(Expr.Hyper::new).toList();
    }

    /// A number as it is set, before any schedule moves it.
    Expr unscheduled(String name) {
        expect(part.spec().hyperparameter(name).orElse(null) instanceof Hyperparameter.Real, name);
        return new Expr.Hyper(Settings.UNSCHEDULED + part.qualified(name));
    }

    /// What schedules make of a number, as a factor; 1 where it is set to 0.
    Expr scheduled(String name) {
        var set = unscheduled(name);
        return Expr.select(greater(set, Expr.constant(0)), hyper(name).over(set), one());
    }

    /// Whether a number is anything but 0 in some group or at some step; if not, what it multiplies can be left out.
    boolean on(String name) {
        return settings.on(part.qualified(name));
    }

    boolean flag(String name) {
        return settings.flag(part.qualified(name));
    }

    /// Whether a choice was made for `value`.
    boolean chosen(String name, String value) {
        return settings.choice(part.qualified(name)).equals(value);
    }

    int count(String name) {
        return settings.count(part.qualified(name));
    }

    /// A refusal of one hyperparameter's value.
    ServiceException invalid(String name, Object value, String expected) {
        return part.invalid(name, value, expected);
    }

    /// Whether the step is that of tensors of this kind.
    boolean is(String kind) {
        return this.kind.equals(kind);
    }

    /// A slot as it was before the step.
    Slot slot(String name) {
        var slot = settings.slots(part, kind).stream().filter(s -> s.name().equals(name)).findFirst().orElseThrow();
        var storage = slot.scope().isElement() ? element : slot.storage();
        return new Slot(new Buffer(Buffer.Kind.SLOT, name, slot.scope(), storage));
    }

    /// An extra input of this step; f64 unless it is one for each element. Without [#given] it is nothing in particular.
    Expr input(String name) {
        var read = new Expr.Read(input(part.spec().input(name).orElseThrow(), element));
        return read.buffer().scope().isElement() ? read : read.as(Type.F64);
    }

    /// Whether this step brings an extra input: for all tensors that take part, or for none. The host knows, so a value
    /// chosen by it costs nothing in steps without.
    Expr given(String name) {
        return equal(new Expr.Hyper(GIVEN + part.spec().input(name).orElseThrow().name(), Scope.SESSION), one());
    }

    /// The array of an extra input as it came.
    public static Buffer input(Spec.InputSpec input, Type element) {
        return new Buffer(Buffer.Kind.INPUT, input.name(), input.scope(), element);
    }

    /// `delta <- value`: the parameter moves by exactly this.
    Assignment delta(Expr value) {
        return new Assignment(delta(element), (updated ? value : updated(value)).as(element));
    }

    /// The parameter after a step, bit for bit.
    Expr after(Move move) {
        return param().plus(move.delta().value());
    }

    /// State of an optimizer.
    record Slot(Buffer buffer) {
        /// The value before the step; f64 unless it is one for each element.
        Expr old() {
            var read = new Expr.Read(buffer);
            return buffer.scope().isElement() ? read : read.as(Type.F64);
        }

        Assignment becomes(Expr value) {
            return new Assignment(buffer, value.as(buffer.storage()));
        }
    }

    private static void expect(boolean condition, String name) {
        if (!condition) {
            throw new IllegalStateException("the rule's spec has no number " + name);
        }
    }

    // The vocabulary.

    static Expr one() {
        return Expr.constant(1);
    }

    static Expr sqrt(Expr x) {
        return new Expr.Unary(UnaryOp.SQRT, x);
    }

    static Expr abs(Expr x) {
        return new Expr.Unary(UnaryOp.ABS, x);
    }

    static Expr exp(Expr x) {
        return new Expr.Unary(UnaryOp.EXP, x);
    }

    /// The hyperbolic cosine: `(e^x + e^-x) / 2`.
    static Expr cosh(Expr x) {
        return exp(x).plus(exp(x.negate())).times(0.5);
    }

    /// Natural logarithm.
    static Expr log(Expr x) {
        return new Expr.Unary(UnaryOp.LOG, x);
    }

    /// `1 / (1 + e^-x)`
    static Expr sigmoid(Expr x) {
        return one().over(exp(x.negate()).plus(1));
    }

    /// The cosine of a value the host knows.
    static Expr cos(Expr x) {
        return new Expr.Unary(UnaryOp.COS, x);
    }

    /// The sine of a value the host knows.
    static Expr sin(Expr x) {
        return new Expr.Unary(UnaryOp.SIN, x);
    }

    /// What is left of `x` after dividing by `y`, both known to the host; NaN if `y` is 0.
    static Expr remainder(Expr x, Expr y) {
        return Expr.binary(BinaryOp.MOD, x, y);
    }

    /// -1, 0 or 1.
    static Expr sign(Expr x) {
        return new Expr.Unary(UnaryOp.SIGN, x);
    }

    /// `x^y` of values the host knows, x above 0, by way of logarithms: where neither x nor y is the same in every step,
    /// `StrictMath.pow` makes arrays.
    static Expr hostPower(Expr x, Expr y) {
        return exp(y.times(log(x)));
    }

    static Expr pow(Expr x, Expr y) {
        return Expr.binary(BinaryOp.POW, x, y);
    }

    static Expr max(Expr a, Expr b) {
        return Expr.binary(BinaryOp.MAX, a, b);
    }

    static Expr min(Expr a, Expr b) {
        return Expr.binary(BinaryOp.MIN, a, b);
    }

    static Expr greater(Expr a, Expr b) {
        return Expr.compare(CompareOp.LT, b, a);
    }

    static Expr atLeast(Expr a, Expr b) {
        return Expr.compare(CompareOp.LE, b, a);
    }

    static Expr equal(Expr a, Expr b) {
        return Expr.compare(CompareOp.EQ, a, b);
    }

    static Expr and(Expr a, Expr b) {
        return Expr.binary(BinaryOp.AND, a, b);
    }

    static Expr positive(Expr x) {
        return greater(x, Expr.constant(0));
    }

    static Expr or(Expr a, Expr b) {
        return Expr.binary(BinaryOp.OR, a, b);
    }

    /// Whether this is the tensor's first step.
    Expr first() {
        return Expr.compare(CompareOp.EQ, t(), one());
    }

    /// A running mean: `beta * old + (1 - beta) * value`.
    static Expr ema(Expr old, Expr value, Expr beta) {
        return beta.times(old).plus(one().minus(beta).times(value));
    }

    /// A running mean of the gradient, written to a slot; where `beta` is off it is the gradient, and there is no slot.
    Expr momentum(String slot, Expr grad, String beta, List<Assignment> writes) {
        if (!on(beta)) {
            return grad;
        }
        var mean = ema(slot(slot).old(), grad, hyper(beta));
        writes.add(slot(slot).becomes(mean));
        return mean;
    }

    /// What a running mean that started at zero has seen by now: `1 - beta^t`.
    Expr biasCorrection(Expr beta) {
        return biasCorrection(beta, t());
    }

    /// `1 - beta^t` as another counter has it.
    static Expr biasCorrection(Expr beta, Expr t) {
        return one().minus(pow(beta, t));
    }

    /// The sum over each index of `over`, in f64.
    static Expr sum(Scope over, Expr x) {
        return new Expr.Reduce(ReduceOp.SUM, over, x.as(Type.F64));
    }

    /// The sum of products over each index of `over`; the products are f64.
    static Expr dot(Scope over, Expr a, Expr b) {
        return sum(over, a.as(Type.F64).times(b.as(Type.F64)));
    }

    /// How many elements each index of `over` covers.
    static Expr count(Scope over) {
        return new Expr.Read(new Buffer(Buffer.Kind.EXTENT, "", over, Type.F64));
    }

    /// How many elements a row of the tensor has.
    static Expr columns() {
        return largest(Scope.TENSOR, count(Scope.ROW));
    }

    /// The mean over each index of `over`, in f64.
    static Expr mean(Scope over, Expr x) {
        return sum(over, x).over(count(over));
    }

    /// The largest over each index of `over`, in f64.
    static Expr largest(Scope over, Expr x) {
        return new Expr.Reduce(ReduceOp.MAX, over, x.as(Type.F64));
    }

    /// The `rank`-th largest over each index of `over`, as [Expr.Ranked] has it.
    static Expr ranked(Scope over, Expr x, Expr rank) {
        return new Expr.Ranked(over, x, rank);
    }

    /// The sum of a tensor's value and those of all tensors before it, in the session's order.
    static Expr runningSum(Expr ofTensors) {
        return new Expr.RunningSum(ofTensors);
    }

    /// The whole part of an f64 value from 0 to 2^51.
    static Expr floor(Expr x) {
        // Adding 2^52 rounds to a whole number, which subtracting it leaves.
        var rounded = x.plus(0x1p52).minus(0x1p52);
        return Expr.select(greater(rounded, x), rounded.minus(1), rounded);
    }

    /// The Euclidean norm over each index of `over`; squares are f64, so they neither overflow nor vanish.
    static Expr norm(Scope over, Expr x) {
        return sqrt(sum(over, x.as(Type.F64).squared()));
    }
}
