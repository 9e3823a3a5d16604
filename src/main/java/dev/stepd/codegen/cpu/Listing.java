package dev.stepd.codegen.cpu;

import java.lang.classfile.ClassFile;
import java.lang.classfile.CodeModel;
import java.lang.classfile.Instruction;
import java.lang.classfile.Label;
import java.lang.classfile.instruction.BranchInstruction;
import java.lang.classfile.instruction.ConstantInstruction;
import java.lang.classfile.instruction.FieldInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.LabelTarget;
import java.lang.classfile.instruction.LoadInstruction;
import java.lang.classfile.instruction.StoreInstruction;
import java.util.HashMap;
import java.util.Map;

/// A kernel's bytecode as text, one instruction a line, for people and for comparing what a change made of it.
public final class Listing {
    private Listing() {}

    /// @param kernel a class file from [KernelCompiler#bytes]
    public static String of(byte[] kernel) {
        var text = new StringBuilder();
        for (var method : ClassFile.of().parse(kernel).methods()) {
            if (method.methodName().equalsString("run")) {
                method.code().ifPresent(code -> list(code, text));
            }
        }
        return text.toString();
    }

    private static void list(CodeModel code, StringBuilder text) {
        var labels = new HashMap<Label, String>();
        for (var element : code) {
            switch (element) {
                case LabelTarget target -> text.append(name(labels, target.label())).append(":\n");
                case Instruction instruction -> text.append("    ").append(show(instruction, labels)).append('\n');
                default -> {} // positions for debuggers: there is no source
            }
        }
    }

    private static String show(Instruction instruction, Map<Label, String> labels) {
        var mnemonic = instruction.opcode().name().toLowerCase(java.util.Locale.ROOT);
        return switch (instruction) {
            case LoadInstruction load -> mnemonic(mnemonic) + " " + load.slot();
            case StoreInstruction store -> mnemonic(mnemonic) + " " + store.slot();
            case ConstantInstruction constant -> mnemonic + " " + constant.constantValue();
            case BranchInstruction branch -> mnemonic + " " + name(labels, branch.target());
            case FieldInstruction field -> mnemonic + " " + field.owner().name() + "." + field.name();
            case InvokeInstruction call ->
                mnemonic + " " + call.owner().name() + "." + call.name() + call.type();
            default -> mnemonic;
        };
    }

    /// `aload_0` and `aload 0` are one instruction to a reader.
    private static String mnemonic(String opcode) {
        int suffix = opcode.indexOf('_');
        return suffix < 0 ? opcode : opcode.substring(0, suffix);
    }

    private static String name(Map<Label, String> labels, Label label) {
        return labels.computeIfAbsent(label, _ -> "L" + labels.size());
    }
}
