package dev.stepd.codegen.cuda;

import dev.stepd.expr.BinaryOp;
import dev.stepd.expr.CompareOp;
import dev.stepd.expr.Expr;
import dev.stepd.expr.ReduceOp;
import dev.stepd.expr.Scalar;
import dev.stepd.expr.Type;
import dev.stepd.expr.UnaryOp;
import java.util.function.Function;

/// One C expression for each operation of the language, rounded as the program says: compilers are told to contract nothing.
final class Operations {
    private Operations() {}

    /// @param operand the text of an operand, an expression that needs no further parentheses
    /// @return text that needs parentheses where it is an operand itself, but for calls
    static String text(Expr node, Function<Expr, String> operand) {
        return switch (node) {
            case Expr.Const(Type type, long bits) -> Types.literal(type, bits);
            case Expr.Unary(UnaryOp op, Expr x) -> unary(op, x.type(), operand.apply(x));
            case Expr.Binary(BinaryOp op, Expr a, Expr b) -> binary(op, a.type(), operand.apply(a), operand.apply(b));
            case Expr.Fma(Expr a, Expr b, Expr c) -> (node.type() == Type.F32 ? "__fmaf_rn(" : "__fma_rn(")
                    + operand.apply(a) + ", " + operand.apply(b) + ", " + operand.apply(c) + ")";
            case Expr.Compare(CompareOp op, Expr a, Expr b) -> operand.apply(a) + " " + op.symbol() + " " + operand.apply(b);
            case Expr.Select(Expr condition, Expr then, Expr otherwise) ->
                operand.apply(condition) + " ? " + operand.apply(then) + " : " + operand.apply(otherwise);
            case Expr.Convert(Type type, Expr x) -> convert(x.type(), type, operand.apply(x));
            case Expr.Bits(Expr x) -> bits(x.type(), operand.apply(x));
            case Expr.Read _, Expr.Hyper _, Expr.Counter _, Expr.Index _, Expr.Draw _, Expr.Lookup _, Expr.Reduce _, Expr.Ranked _,
                    Expr.RunningSum _ ->
                throw new IllegalStateException("no operation of a kernel: " + node);
        };
    }

    private static String unary(UnaryOp op, Type type, String x) {
        boolean single = type == Type.F32;
        return switch (op) {
            case NEG -> "-" + x;
            case ABS -> (single ? "fabsf(" : "fabs(") + x + ")";
            case SQRT -> (single ? "__fsqrt_rn(" : "__dsqrt_rn(") + x + ")";
            case SIGN, EXP, LOG, TANH -> throw new IllegalStateException(op + " was not expanded");
            case COS, SIN -> throw new IllegalStateException(op + " is for the host");
        };
    }

    /// Integers keep their low bits: unsigned ones do by the language's rules.
    private static String binary(BinaryOp op, Type type, String a, String b) {
        if (!type.isInteger()) {
            return a + " " + op.symbol() + " " + b;
        }
        var signed = Types.computed(type);
        return switch (op) {
            case AND, OR, XOR -> a + " " + op.symbol() + " " + b;
            case SHR -> "(" + signed + ") ((unsigned " + signed + ") " + a + " >> " + b + ")";
            case ADD, SUB, MUL, SHL ->
                "(" + signed + ") ((unsigned " + signed + ") " + a + " " + op.symbol() + " (unsigned " + signed + ") " + b + ")";
            case DIV, MIN, MAX, POW, MOD, MIX -> throw new IllegalStateException(op + " of " + type);
        };
    }

    private static String convert(Type from, Type to, String x) {
        if (to == Type.I32 && from.isReal()) {
            return "to_int(" + x + ")";
        }
        return "(" + Types.computed(to) + ") " + x;
    }

    private static String bits(Type from, String x) {
        return switch (from) {
            case F32 -> "__float_as_int(" + x + ")";
            case I32 -> "__int_as_float(" + x + ")";
            case F64 -> "__double_as_longlong(" + x + ")";
            case I64 -> "__longlong_as_double(" + x + ")";
            case I4, I8, I16, BOOL -> throw new IllegalStateException("bits of " + from);
        };
    }

    static String join(ReduceOp op, String a, String b) {
        return switch (op) {
            case SUM -> a + " + " + b;
            case MAX -> "larger(" + a + ", " + b + ")";
        };
    }

    static String identity(ReduceOp op, Type type) {
        return Types.literal(type, Scalar.of(type, op.identity()));
    }
}
