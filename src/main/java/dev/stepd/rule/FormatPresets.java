package dev.stepd.rule;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/// The names of optimizers that libraries have again with small state: the plain rule, and the format of its slots.
final class FormatPresets {
    private static final String BITSANDBYTES =
            "bitsandbytes-foundation/bitsandbytes@95f9af309d4d bitsandbytes/optim/*.py, backends/cpu/ops.py";
    private static final String TORCHAO =
            "pytorch/ao@36027d82d1ad torchao/optim/adam.py, quant_utils.py, subclass_*.py";
    private static final String PAPER =
            "Dettmers, Lewis, Shleifer, Zettlemoyer: 8-bit optimizers via block-wise quantization, 2021, arXiv:2110.02861";
    private static final String PAPER_4BIT =
            "Li, Chen, Zhu: Memory efficient optimizers with 4-bit states, 2023, arXiv:2309.01507";
    private static final String PAPER_FP8 =
            "Micikevicius et al.: FP8 formats for deep learning, 2022, arXiv:2209.05433";
    private static final Hyperparameter.Range SIZE = new Hyperparameter.Range(0, 1L << 53, true);
    private static final Hyperparameter.Range BLOCK = new Hyperparameter.Range(16, 1 << 16, true);

    private FormatPresets() {}

    static List<Preset> all() {
        return List.of(
                // Its weight decay is decoupled under either name.
                bitsandbytes("adam8bit", "adamw", new AdamW(), 0, false, "lr", "beta1", "beta2", "eps"),
                bitsandbytes("adamw8bit", "adamw", new AdamW(), 0.01, false, "lr", "beta1", "beta2", "eps"),
                bitsandbytes("lion8bit", "lion", new Lion(), 0, true, "lr", "beta1", "beta2"),
                bitsandbytes("sgd8bit", "sgd", new Sgd(), 0, true, "lr", "momentum"),
                bitsandbytes("rmsprop8bit", "rmsprop", new RmsProp(), 0, true, "lr", "alpha", "eps"),
                bitsandbytes("adagrad8bit", "adagrad", new Adagrad(), 0, true, "lr", "eps"),
                bitsandbytes("ademamix8bit", "ademamix", new AdEmaMix(), 0.01, false,
                        "lr", "beta1", "beta2", "beta3", "alpha", "eps"),
                torchao("adamw8bit_torchao", "int8", 256, PAPER),
                torchao("adamw4bit_torchao", "int4", 128, PAPER_4BIT),
                torchao("adamw_fp8_torchao", "fp8", 256, PAPER_FP8));
    }

    /// @param oneSlot whether bitsandbytes treats the state as one that may be negative whatever it is
    /// @param hyperparameters those of the rule that the preset has too
    private static Preset bitsandbytes(
            String name, String base, Rule rule, double weightDecay, boolean oneSlot, String... hyperparameters) {
        var spec = Spec.of(name, rule.spec().title() + ", its state in 8 bits", PAPER)
                .follows(BITSANDBYTES)
                .like(rule.spec(), hyperparameters)
                .weightDecay(weightDecay)
                .real("min_8bit_size", 4096, SIZE, "tensors of fewer elements keep f32 state")
                .real("block_size", 256, BLOCK, "elements that share a scale")
                .build();
        var all = Stream.concat(Arrays.stream(hyperparameters), Stream.of("weight_decay")).toArray(String[]::new);
        return new Preset(spec, set -> {
            var state = state(set, "int8", set.number("min_8bit_size"), "bitsandbytes");
            state.put("signed_only", oneSlot);
            return Composition.of(set.as(base, all)).keeping(state);
        });
    }

    private static Preset torchao(String name, String format, int block, String paper) {
        var spec = Spec.of(name, "AdamW, its state in " + format, paper)
                .follows(TORCHAO)
                .like(new AdamW().spec(), "lr", "beta1", "beta2", "eps", "weight_decay")
                .real("block_size", block, BLOCK, "elements that share a scale")
                .build();
        return new Preset(spec, set -> Composition.of(set.as("adamw", "lr", "beta1", "beta2", "eps", "weight_decay"))
                .keeping(state(set, format, 4096, "torchao")));
    }

    private static Map<String, Object> state(Part set, String format, double minSize, String convention) {
        var state = new HashMap<String, Object>();
        state.put("format", format);
        state.put("min_size", minSize);
        state.put("block_size", set.number("block_size"));
        state.put("convention", convention);
        return state;
    }
}
