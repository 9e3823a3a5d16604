package dev.stepd.codegen.cpu;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Table;
import dev.stepd.expr.Type;
import java.lang.classfile.CodeBuilder;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.DynamicConstantDesc;
import java.lang.constant.MethodTypeDesc;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntSupplier;

/// How a kernel looks values up. A table of a few vectors is kept in them: each pair is permuted by the index, and the
/// index's upper bits choose among the results, which takes a fifth of the time that gathering from memory does. Longer
/// tables are gathered.
final class TableCode {
    /// Vectors that a table may take: beyond, permuting costs more than gathering.
    private static final int VECTORS_MAX = 16;
    /// Gathers there are for narrower vectors as well, permutations not.
    private static final int LANES_MIN = 4;

    private static final ClassDesc INTS = ConstantDescs.CD_int.arrayType();

    private final CodeBuilder code;
    private final VectorCode vectors;
    private final int lanes;
    private final List<Table> tables;
    private final IntSupplier locals;
    private final Map<Table, int[]> kept = new HashMap<>();
    private int scratch;

    /// @param tables of the kernel, in the order of its class data
    /// @param locals hands out fresh ones
    TableCode(CodeBuilder code, VectorCode vectors, int lanes, List<Table> tables, IntSupplier locals) {
        this.code = code;
        this.vectors = vectors;
        this.lanes = lanes;
        this.tables = tables;
        this.locals = locals;
    }

    /// What a kernel's class data holds of a table: repeated until it fills a vector of any width.
    static int[] data(Table table) {
        var data = new int[Math.max(16, table.size())];
        for (int i = 0; i < data.length; i++) {
            data[i] = table.at(i);
        }
        return data;
    }

    /// Whether wide vectors pay.
    static boolean permutes(Table table, int lanes) {
        return lanes >= LANES_MIN && table.size() <= VECTORS_MAX * lanes;
    }

    /// Loads what stays in vectors.
    void prologue() {
        for (var table : tables) {
            if (permutes(table, lanes)) {
                var vectorsOf = new int[Math.max(1, table.size() / lanes)];
                for (int i = 0; i < vectorsOf.length; i++) {
                    vectors.species(Type.I32);
                    array(table);
                    code.loadConstant(i * lanes);
                    code.invokestatic(vectors.ints(), "fromArray",
                            MethodTypeDesc.of(vectors.ints(), VectorCode.SPECIES, INTS, ConstantDescs.CD_int));
                    vectorsOf[i] = locals.getAsInt();
                    code.astore(vectorsOf[i]);
                }
                kept.put(table, vectorsOf);
            }
        }
        if (kept.size() < tables.size()) {
            scratch = locals.getAsInt();
            code.invokestatic(VectorCode.LANES, "scratch", MethodTypeDesc.of(INTS)).astore(scratch);
        }
    }

    private void array(Table table) {
        code.loadConstant(DynamicConstantDesc.ofNamed(
                ConstantDescs.BSM_CLASS_DATA_AT, ConstantDescs.DEFAULT_NAME, INTS, tables.indexOf(table)));
    }

    /// Leaves the values at the indexes in a local on the stack.
    void lookup(Expr.Lookup node, int index) {
        var table = kept.get(node.table());
        if (table == null) {
            gather(node.table(), index);
        } else {
            select(table, 0, table.length, index, new HashMap<>());
        }
        if (node.type() == Type.F32) {
            vectors.reinterpret(Type.I32, Type.F32);
        }
    }

    private void gather(Table table, int index) {
        code.aload(index).loadConstant(table.size() - 1);
        vectors.and();
        code.aload(scratch).iconst_0().invokevirtual(vectors.ints(), "intoArray",
                MethodTypeDesc.of(ConstantDescs.CD_void, INTS, ConstantDescs.CD_int));
        vectors.species(Type.I32);
        array(table);
        code.iconst_0().aload(scratch).iconst_0().invokestatic(vectors.ints(), "fromArray", MethodTypeDesc.of(
                vectors.ints(), VectorCode.SPECIES, INTS, ConstantDescs.CD_int, INTS, ConstantDescs.CD_int));
    }

    /// The values of `count` vectors of a table from `first` on.
    ///
    /// @param masks by bit of the index: where it is set
    private void select(int[] table, int first, int count, int index, Map<Integer, Integer> masks) {
        var ints = vectors.ints();
        if (count == 1) {
            code.aload(index).aload(table[first])
                    .invokevirtual(ints, "selectFrom", MethodTypeDesc.of(ints, VectorCode.VECTOR));
        } else if (count == 2) {
            code.aload(index).aload(table[first]).aload(table[first + 1]).invokevirtual(
                    ints, "selectFrom", MethodTypeDesc.of(ints, VectorCode.VECTOR, VectorCode.VECTOR));
        } else {
            select(table, first, count / 2, index, masks);
            select(table, first + count / 2, count / 2, index, masks);
            code.aload(masks.computeIfAbsent(count / 2 * lanes, bit -> mask(index, bit)));
            vectors.blend(Type.I32);
        }
    }

    private int mask(int index, int bit) {
        int mask = locals.getAsInt();
        code.aload(index).loadConstant(bit);
        vectors.and();
        code.getstatic(VectorCode.OPERATORS, "NE", VectorCode.COMPARISON).iconst_0();
        code.invokevirtual(vectors.ints(), "compare",
                MethodTypeDesc.of(VectorCode.MASK, VectorCode.COMPARISON, ConstantDescs.CD_int));
        code.astore(mask);
        return mask;
    }
}
