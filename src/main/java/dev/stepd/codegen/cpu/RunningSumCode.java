package dev.stepd.codegen.cpu;

import java.lang.classfile.CodeBuilder;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;

/// The body of `run` for a running sum: f64 values one after the other, since each result is made of the one before. The sum
/// so far is fetched from the room behind the arrays and put down there, so that the next run goes on.
final class RunningSumCode {
    private static final ClassDesc LANES = ClassDesc.of("dev.stepd.codegen.cpu.Lanes");
    private static final MethodTypeDesc GET = MethodTypeDesc.of(ConstantDescs.CD_double, ConstantDescs.CD_long);
    private static final MethodTypeDesc SET =
            MethodTypeDesc.of(ConstantDescs.CD_void, ConstantDescs.CD_long, ConstantDescs.CD_double);

    private static final int ADDRESSES = 1;
    private static final int COUNT = 2;
    private static final int VALUES = 7;
    private static final int TARGET = 9;
    private static final int ROOM = 11;
    private static final int SUM = 13;

    private RunningSumCode() {}

    static void emit(CodeBuilder code) {
        address(code, 0, VALUES);
        address(code, 1, TARGET);
        address(code, 2, ROOM);
        code.lload(ROOM).invokestatic(LANES, "getF64", GET).dstore(SUM);
        var end = code.newLabel();
        var head = code.newBoundLabel();
        code.lload(COUNT).lconst_0().lcmp().ifle(end);
        code.dload(SUM).lload(VALUES).invokestatic(LANES, "getF64", GET).dadd().dstore(SUM);
        code.lload(TARGET).dload(SUM).invokestatic(LANES, "setF64", SET);
        advance(code, VALUES, Double.BYTES);
        advance(code, TARGET, Double.BYTES);
        advance(code, COUNT, -1);
        code.goto_(head).labelBinding(end);
        code.lload(ROOM).dload(SUM).invokestatic(LANES, "setF64", SET).return_();
    }

    private static void address(CodeBuilder code, int position, int local) {
        code.aload(ADDRESSES).loadConstant(position).laload().lstore(local);
    }

    private static void advance(CodeBuilder code, int local, long by) {
        code.lload(local).loadConstant(by).ladd().lstore(local);
    }
}
