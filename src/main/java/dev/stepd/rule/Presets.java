package dev.stepd.rule;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// The names that stand for compositions. Their defaults are those of whoever published the composition under the name.
final class Presets {
    private Presets() {}

    static List<Preset> all() {
        return List.of(
                lookahead(), grokfast(), cautiousAdamw(), cautiousLion(), weightEma(), bema(), scheduleFreeSgd(),
                scheduleFreeAdamw(), scheduleFreeRadam(), gradClip());
    }

    private static Preset lookahead() {
        var of = new Lookahead().spec();
        var spec = Spec.of("lookahead", "Lookahead around SGD or Adam", of.paper())
                .follows(of.reference() + " over torch.optim Adam/SGD")
                .choice("inner", "the optimizer inside", "adam", "sgd")
                .like(new Adam().spec(), "lr", "beta1", "beta2", "eps")
                .like(new Sgd().spec(), "momentum")
                .like(of, "k", "alpha", "pullback")
                .build();
        return new Preset(spec, set -> {
            boolean adam = set.chosen("inner", "adam");
            if (adam && set.number("momentum") != 0) {
                throw set.invalid("momentum", set.number("momentum"), "0 where inner is adam, which takes beta1");
            }
            var inner = adam ? set.as("adam", "lr", "beta1", "beta2", "eps") : set.as("sgd", "lr", "momentum");
            return Composition.of(inner).wrapped(set.as("lookahead", "k", "alpha", "pullback"));
        });
    }

    private static Preset weightEma() {
        var ema = new ExponentialAverage().spec();
        var spec = Spec.of("weight_ema", "SGD and an average of its parameters", ema.paper())
                .follows(ema.reference() + " over torch.optim.SGD")
                .choice("kind", "the average: exponential, or the mean of all steps", "ema", "swa")
                .like(ema, "decay")
                .like(new Sgd().spec(), "lr", "momentum")
                .build();
        return new Preset(spec, set -> Composition.of(set.as("sgd", "lr", "momentum"))
                .averaged(set.chosen("kind", "ema") ? set.as("ema", "decay") : set.as("swa")));
    }

    private static Preset bema() {
        var of = new BiasCorrectedAverage().spec();
        var names = names(of);
        var spec = Spec.of("bema", "SGD and a bias-corrected average of its parameters", of.paper())
                .follows(of.reference() + " over torch.optim.SGD")
                .like(of, names)
                .like(new Sgd().spec(), "lr", "momentum")
                .build();
        return new Preset(spec, set ->
                Composition.of(set.as("sgd", "lr", "momentum")).averaged(set.as("bema", names)));
    }

    private static Preset grokfast() {
        var of = new Grokfast().spec();
        var filter = names(of);
        var spec = Spec.of("grokfast", "AdamW that meets amplified slow gradients", of.paper())
                .follows(of.reference() + " over torch.optim.AdamW")
                .like(new AdamW().spec(), "lr", "beta1", "beta2", "eps", "weight_decay")
                .like(of, filter)
                .build();
        return new Preset(spec, set -> Composition.of(set.as("adamw", "lr", "beta1", "beta2", "eps", "weight_decay"))
                .wrapped(set.as("grokfast", filter)));
    }

    private static Preset cautiousAdamw() {
        var spec = Spec.of("cautious_adamw", "Cautious AdamW", new Cautious().spec().paper())
                .follows("kyleliang919/C-Optim@2c0517c c_adamw.py")
                .lr(1e-3)
                .betas(0.9, 0.999)
                .eps(1e-6)
                .weightDecay(0)
                .like(new AdamW().spec(), "bias_correction")
                .build();
        return new Preset(spec, set -> {
            var adamw = set.as("adamw", "lr", "beta1", "beta2", "eps", "weight_decay", "bias_correction");
            adamw.put("eps_root", "uncorrected");
            return Composition.of(adamw).wrapped(Map.of("name", "cautious", "scale", "mean"));
        });
    }

    private static Preset cautiousLion() {
        var spec = Spec.of("cautious_lion", "Cautious Lion", new Cautious().spec().paper())
                .follows("kyleliang919/C-Optim@2c0517c c_lion.py")
                .lr(1e-4)
                .betas(0.95, 0.98)
                .weightDecay(0)
                .build();
        return new Preset(spec, set -> Composition.of(set.as("lion", "lr", "beta1", "beta2", "weight_decay"))
                .wrapped(Map.of("name", "cautious", "scale", "count")));
    }

    private static Preset scheduleFreeSgd() {
        var of = new ScheduleFree().spec();
        var spec = Spec.of("schedule_free_sgd", "Schedule-free SGD", of.paper())
                .follows(of.reference() + " (train mode; param = y)")
                .lr(1)
                .weightDecay(0)
                .like(of, names(of))
                .build();
        return new Preset(spec, set -> Composition.of(set.as("sgd", "lr", "weight_decay"))
                .wrapped(set.as("schedule_free", names(of))));
    }

    private static Preset scheduleFreeAdamw() {
        var of = new ScheduleFree().spec();
        var spec = Spec.of("schedule_free_adamw", "Schedule-free AdamW", of.paper())
                .follows("facebookresearch/schedule_free@70785b5 schedulefree/adamw_schedulefree_reference.py (train mode; param = y)")
                .lr(0.0025)
                .real("beta1", 0.9, Hyperparameter.Range.INSIDE, "how near gradients are taken to the average")
                .like(new AdamW().spec(), "beta2", "eps")
                .weightDecay(0)
                .like(of, "warmup_steps", "r", "weight_lr_power")
                .build();
        return new Preset(spec, set -> {
            var adamw = set.as("adamw", "lr", "beta2", "eps", "weight_decay");
            adamw.put("beta1", 0.0);
            return scheduleFree(adamw, set.as("schedule_free", "warmup_steps", "r", "weight_lr_power"), set);
        });
    }

    private static Preset scheduleFreeRadam() {
        var of = new ScheduleFree().spec();
        var spec = Spec.of("schedule_free_radam", "Schedule-free RAdam", of.paper())
                .follows("facebookresearch/schedule_free@70785b5 schedulefree/radam_schedulefree.py (train mode; param = y)")
                .lr(0.0025)
                .real("beta1", 0.9, Hyperparameter.Range.INSIDE, "how near gradients are taken to the average")
                .like(new RAdam().spec(), "beta2", "eps", "weight_decay")
                .like(of, "r", "weight_lr_power")
                .flag("silent_sgd_phase", true, "take no step before rates adapt")
                .build();
        return new Preset(spec, set -> {
            var radam = set.as("radam", "lr", "beta2", "eps", "weight_decay");
            radam.putAll(Map.of("beta1", 0.0, "decoupled", true, "rectified_decay", true, "threshold", 4.0,
                    "silent", set.chosen("silent_sgd_phase", true), "eps_root", "corrected"));
            return scheduleFree(radam, set.as("schedule_free", "r", "weight_lr_power"), set);
        });
    }

    /// What Adam calls beta1 is the average's momentum; the Adam inside has none.
    private static Composition scheduleFree(
            Map<String, @Nullable Object> inner, Map<String, @Nullable Object> around, Part set) {
        around.put("momentum", set.number("beta1"));
        return Composition.of(inner).wrapped(around);
    }

    private static Preset gradClip() {
        var spec = Spec.of("grad_clip", "SGD on clipped gradients",
                        "Pascanu, Mikolov, Bengio: On the difficulty of training recurrent neural networks, 2012, arXiv:1211.5063; Brock, De, Smith, Simonyan: High-performance large-scale image recognition without normalization, 2021, arXiv:2102.06171")
                .follows("torch 2.13.0 torch.nn.utils.clip_grad; huggingface/pytorch-image-models@aa4b585 timm/utils/agc.py")
                .choice("mode", "what is bounded: the norm of all, each element, or each unit against its parameters",
                        "global_norm", "value", "agc")
                .lr(0.1)
                .real("max_norm", 1, Hyperparameter.Range.POSITIVE, "bound of the norm")
                .limit("norm_type", 2, Hyperparameter.Range.POSITIVE, "order of the norm; infinite is the largest magnitude")
                .real("clip_value", 0.1, Hyperparameter.Range.POSITIVE, "bound of each element")
                .real("clip_factor", 0.01, Hyperparameter.Range.POSITIVE, "bound of a unit as a share of its parameters")
                .real("eps", 1e-3, Hyperparameter.Range.POSITIVE, "least norm of parameters that counts")
                .build();
        return new Preset(spec, set -> Composition.of(set.as("sgd", "lr")).clipped(
                set.chosen("mode", "value") ? Map.of("value", set.number("clip_value"))
                        : set.chosen("mode", "agc") ? Map.of("agc", set.number("clip_factor"), "eps", set.number("eps"))
                        : Map.of("global_norm", set.number("max_norm"), "norm_type",
                                set.value("norm_type") instanceof Double order ? order : Clip.INFINITE)));
    }

    private static String[] names(Spec spec) {
        return spec.hyperparameters().stream().map(Hyperparameter::name).toArray(String[]::new);
    }
}
