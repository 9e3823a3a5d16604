package dev.stepd.codegen.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.expr.Buffer;
import dev.stepd.expr.Type;
import dev.stepd.expr.codec.Codec;
import dev.stepd.expr.codec.Formats;
import dev.stepd.expr.codec.StoreSlots;
import dev.stepd.expr.rewrite.ChooseByHost;
import dev.stepd.expr.rewrite.Rewrites;
import dev.stepd.expr.stage.Plan;
import dev.stepd.expr.stage.Planner;
import dev.stepd.rule.Catalogue;
import dev.stepd.rule.Clip;
import dev.stepd.rule.OptimizerProgram;
import dev.stepd.rule.Rule;
import dev.stepd.rule.Settings;
import dev.stepd.rule.Spec;
import java.lang.classfile.Attributes;
import java.lang.classfile.ClassFile;
import java.lang.classfile.attribute.CodeAttribute;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// HotSpot compiles no method of more than 8000 bytes: a longer kernel would run a thousand times slower, for ever.
class KernelSizeTest {
    static Stream<Map<String, Object>> optimizers() {
        return Catalogue.rules().stream().map(KernelSizeTest::full);
    }

    private static Map<String, Object> full(Rule rule) {
        var description = new HashMap<String, Object>(Map.of("name", rule.spec().name()));
        for (var option : List.of("weight_decay", "momentum", "max_grad_norm")) {
            if (rule.spec().hyperparameter(option).isPresent()) {
                description.put(option, 0.5);
            }
        }
        return description;
    }

    @ParameterizedTest
    @MethodSource("optimizers")
    void everyKernelIsCompiled(Map<String, Object> optimizer) {
        var settings = Settings.read(optimizer, List.of(), null);
        for (var kind : settings.rule().kinds()) {
            var program = OptimizerProgram.step(settings, new Clip.GlobalNorm(1), kind, Type.F32, true);
            for (var format : Formats.NAMES) {
                var stored = store(format, settings.slots(kind)).apply(program);
                check(Planner.plan(Rewrites.expand(ChooseByHost.undecided(stored))));
            }
        }
    }

    /// Every slot that can be in a format.
    private static StoreSlots store(String format, List<Spec.SlotSpec> slots) {
        var codecs = new HashMap<Buffer, Codec>();
        for (var slot : slots) {
            if (slot.scope().isElement()) {
                var buffer = new Buffer(Buffer.Kind.SLOT, slot.name(), slot.scope(), slot.storage());
                codecs.put(buffer, Formats.find(format, slot.sign() == Spec.Sign.SIGNED).orElseThrow());
            }
        }
        return new StoreSlots(codecs);
    }

    private static void check(Plan plan) {
        for (var stage : plan.stages()) {
            for (int bits : new int[] {128, 256, 512}) {
                assertThat(longestMethod(new KernelCompiler(bits).bytes(stage)))
                        .as("%d-bit vectors: %s", bits, stage)
                        .isLessThanOrEqualTo(8000);
            }
        }
    }

    private static int longestMethod(byte[] type) {
        return ClassFile.of().parse(type).methods().stream()
                .flatMap(method -> method.findAttribute(Attributes.code()).stream())
                .mapToInt(CodeAttribute::codeLength)
                .max()
                .orElseThrow();
    }
}
