package dev.stepd.rule;

import java.util.List;

/// The names that stand for compositions. Their defaults are those of whoever published the composition under the name.
final class Presets {
    private Presets() {}

    static List<Preset> all() {
        return List.of(lookahead(), weightEma(), bema());
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
        var names = of.hyperparameters().stream().map(Hyperparameter::name).toArray(String[]::new);
        var spec = Spec.of("bema", "SGD and a bias-corrected average of its parameters", of.paper())
                .follows(of.reference() + " over torch.optim.SGD")
                .like(of, names)
                .like(new Sgd().spec(), "lr", "momentum")
                .build();
        return new Preset(spec, set ->
                Composition.of(set.as("sgd", "lr", "momentum")).averaged(set.as("bema", names)));
    }
}
