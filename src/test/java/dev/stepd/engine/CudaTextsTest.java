package dev.stepd.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.stepd.codegen.cuda.CudaProgram;
import dev.stepd.device.cuda.Nvcc;
import dev.stepd.expr.codec.Formats;
import dev.stepd.rule.Catalogue;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// What the catalogue becomes as CUDA C, for compilers of real GPUs.
@Execution(ExecutionMode.CONCURRENT)
class CudaTextsTest {
    /// Texts that are compiled together: the compiler's start takes longer than most of them.
    private static final int TOGETHER = 11;

    /// The rules in turn, and the formats in turn with them: every rule and every format is there.
    private static List<String> texts() {
        var texts = new ArrayList<String>();
        for (var rule : Catalogue.rules()) {
            var optimizer = Map.<String, Object>of("name", rule.spec().name());
            int turn = texts.size() % Formats.NAMES.size();
            var kept = turn == 0 ? optimizer : EveryFormatTest.kept(optimizer, Formats.NAMES.get(turn));
            var recipe = Training.recipes(kept).getLast();
            texts.add(CudaProgram.of(recipe.plan(true, (1L << recipe.conditions().size()) - 1)).text());
        }
        return texts;
    }

    static List<List<String>> portions() {
        var texts = texts();
        return IntStream.range(0, Math.ceilDiv(texts.size(), TOGETHER))
                .mapToObj(i -> texts.subList(i * TOGETHER, Math.min(texts.size(), (i + 1) * TOGETHER)))
                .toList();
    }

    @ParameterizedTest
    @MethodSource("portions")
    void compileForEveryGenerationWithoutAWarning(List<String> texts) {
        var nvcc = Nvcc.find();
        assumeTrue(nvcc.isPresent(), "there is no nvcc");
        var all = new StringBuilder();
        for (int i = 0; i < texts.size(); i++) {
            // of one alone the kernel that runs all others: it has nothing that they have not
            var text = i == 0 ? texts.get(i) : texts.get(i).substring(0, texts.get(i).indexOf("struct CallOfAll"));
            all.append("namespace plan").append(i).append(" {\n").append(text.replace("extern \"C\" ", "")).append("}\n");
        }
        var compiled = nvcc.get().compile(all.toString());
        assertThat(compiled.usages()).hasSizeGreaterThan(texts.size());
        for (var usage : compiled.usages()) {
            assertThat(usage.spillBytes()).as(usage.toString()).isLessThan(256);
            assertThat(usage.sharedBytes()).as(usage.toString()).isLessThan(48 << 10);
        }
    }

    @Test
    void equalPlansHaveEqualTexts() {
        assertThat(texts()).isEqualTo(texts());
    }
}
