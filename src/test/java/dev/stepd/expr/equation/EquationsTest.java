package dev.stepd.expr.equation;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.expr.BinaryOp;
import dev.stepd.expr.Buffer;
import dev.stepd.expr.CompareOp;
import dev.stepd.expr.Expr;
import dev.stepd.expr.Program;
import dev.stepd.expr.ReduceOp;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.expr.UnaryOp;
import java.util.List;
import org.junit.jupiter.api.Test;

class EquationsTest {
    private static final Buffer DELTA = new Buffer(Buffer.Kind.DELTA, "delta", Scope.ELEMENT, Type.F64);
    private static final Buffer SLOT = new Buffer(Buffer.Kind.SLOT, "m", Scope.ELEMENT, Type.F64);
    private static final Expr G = new Expr.Read(new Buffer(Buffer.Kind.GRAD, "grad", Scope.ELEMENT, Type.F64));
    private static final Expr P = new Expr.Read(new Buffer(Buffer.Kind.PARAM, "param", Scope.ELEMENT, Type.F64));
    private static final Expr M = new Expr.Read(SLOT);
    private static final Expr LR = new Expr.Hyper("lr");

    @Test
    void leavesOutParenthesesThatSayNothing() {
        assertThat(Equations.text(LR.times(G.over(P)).times(M))).isEqualTo("lr * g / p * m");
        assertThat(Equations.text(LR.over(G.times(P)))).isEqualTo("lr / (g * p)");
        assertThat(Equations.text(G.plus(P.minus(M)))).isEqualTo("g + p - m");
        assertThat(Equations.text(G.minus(P.minus(M)))).isEqualTo("g - (p - m)");
        assertThat(Equations.text(G.plus(P).times(M))).isEqualTo("(g + p) * m");
        assertThat(Equations.text(pow(G.plus(P), LR.negate()))).isEqualTo("(g + p)^(-lr)");
        assertThat(Equations.text(pow(G, Expr.constant(1.0 / 3)))).isEqualTo("g^(1/3)");
    }

    @Test
    void movesSignsOut() {
        assertThat(Equations.text(LR.negate().times(G.over(P.negate())))).isEqualTo("lr * g / p");
        assertThat(Equations.text(G.plus(LR.negate().times(P)))).isEqualTo("g - lr * p");
        assertThat(Equations.text(LR.negate().times(G).minus(P))).isEqualTo("-lr * g - p");
        assertThat(Equations.text(G.minus(P).negate())).isEqualTo("p - g");
        assertThat(Equations.text(G.plus(P).negate())).isEqualTo("-(g + p)");
        assertThat(Equations.text(G.plus(Expr.constant(-2)))).isEqualTo("g - 2");
    }

    @Test
    void writesNumbersAsPeopleDo() {
        assertThat(Equations.text(G.times(0.5).plus(1e-8))).isEqualTo("0.5 * g + 1e-8");
        assertThat(Equations.text(LR.times(Math.PI).over(2))).isEqualTo("lr * pi / 2");
        assertThat(Equations.text(Expr.constant(Type.F32, 0.1))).isEqualTo("0.1");
        assertThat(Equations.text(Expr.constant(-1000))).isEqualTo("-1000");
    }

    @Test
    void namesWhatIsMeasured() {
        var squares = new Expr.Reduce(ReduceOp.SUM, Scope.TENSOR, G.squared());
        assertThat(Equations.text(squares)).isEqualTo("sum_tensor(g^2)");
        assertThat(Equations.text(new Expr.Unary(UnaryOp.SQRT, squares))).isEqualTo("norm_tensor(g)");
        var count = new Expr.Read(new Buffer(Buffer.Kind.EXTENT, "", Scope.TENSOR, Type.F64));
        assertThat(Equations.text(squares.over(count))).isEqualTo("mean_tensor(g^2)");
    }

    @Test
    void putsWhatVariesLeftOfComparisons() {
        var positive = Expr.compare(CompareOp.LT, Expr.constant(0), G);
        assertThat(Equations.text(Expr.select(positive, G, P))).isEqualTo("g if g > 0 else p");
        assertThat(Equations.text(LR.times(Expr.select(positive, G, P)))).isEqualTo("lr * (g if g > 0 else p)");
    }

    @Test
    void namesValuesOnceWhenRepeatingThemIsLonger() {
        var u = LR.times(G).plus(P);
        var program = new Program(List.of(
                new Program.Assignment(DELTA, u.times(u).negate()), new Program.Assignment(SLOT, M.plus(u))));
        assertThat(Equations.of(program)).extracting(Equation::toString)
                .containsExactly("u = lr * g + p", "delta = -u^2", "m' = m + u");
    }

    @Test
    void usesNewValuesOfSlotsByName() {
        var m = LR.times(M).plus(G);
        var program = new Program(List.of(new Program.Assignment(DELTA, m.negate()), new Program.Assignment(SLOT, m)));
        assertThat(Equations.of(program)).extracting(Equation::toString).containsExactly("m' = lr * m + g", "delta = -m'");
    }

    @Test
    void tellsSlotsFromHyperparametersOfTheSameName() {
        var slot = new Buffer(Buffer.Kind.SLOT, "lr", Scope.TENSOR, Type.F64);
        var program = new Program(List.of(new Program.Assignment(slot, new Expr.Read(slot).plus(LR))));
        assertThat(Equations.of(program)).extracting(Equation::toString).containsExactly("lr_state' = lr_state + lr");
    }

    @Test
    void listsCasesBelowEachOther() {
        var turns = Expr.compare(CompareOp.LT, G, Expr.constant(0));
        var stays = Expr.compare(CompareOp.LT, Expr.constant(1), G);
        var value = Expr.select(turns, Expr.constant(0), Expr.select(stays, G, P.times(G)));
        var equations = Equations.of(new Program(List.of(new Program.Assignment(DELTA, value))));
        assertThat(Layout.of(equations)).isEqualTo("""
                delta = 0        if g < 0
                        g        if g > 1
                        p * g    otherwise
                """);
    }

    @Test
    void breaksLongLinesWhereTheyJoinLoosest() {
        var value = LR.times(G);
        for (int i = 1; i < 12; i++) {
            value = value.plus(pow(G, new Expr.Counter()).times(i + 0.5).over(M));
        }
        var lines = Layout.of(Equations.of(new Program(List.of(new Program.Assignment(DELTA, value))))).lines().toList();
        assertThat(lines).hasSizeGreaterThan(1).allSatisfy(line -> assertThat(line).hasSizeLessThanOrEqualTo(100));
        assertThat(lines.getLast().strip()).startsWith("+ 7.5 * u / m");
    }

    private static Expr pow(Expr x, Expr y) {
        return Expr.binary(BinaryOp.POW, x, y);
    }
}
