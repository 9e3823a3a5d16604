package dev.stepd.engine;

import dev.stepd.rule.Clip;
import dev.stepd.rule.Settings;
import dev.stepd.rule.Spec;
import dev.stepd.rule.View;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.TensorSpec;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

/// What a blueprint asks for, read and checked: the settings, where the tensors lie, and a recipe for each kind of them.
///
/// @param recipes in the layout's order of kinds
record Optimizer(Settings settings, Clip clip, Layout layout, List<Recipe> recipes) {
    static Optimizer of(Engine.Blueprint blueprint) {
        var composition = blueprint.composition();
        var settings = Settings.read(composition, blueprint.groups(), blueprint.schedule());
        var clip = Clip.read(composition.clip());
        clip.check(settings, blueprint.tensors());
        var layout = layout(settings, blueprint.tensors());
        return new Optimizer(
                settings, clip, layout, layout.kinds().stream().map(kind -> new Recipe(settings, clip, kind)).toList());
    }

    private static Layout layout(Settings settings, List<TensorSpec> tensors) {
        var views = settings.rule().views(tensors, settings);
        var kinds = views.stream().map(View::kind).map(view -> new Kind(view, DType.F32, false)).toList();
        var groups = tensors.stream().map(tensor -> settings.groupOf(tensor.name())).toList();
        return Layout.of(tensors, kinds, views, groups);
    }

    /// Every slot by kind, as the session keeps them.
    List<List<Spec.SlotSpec>> slots() {
        return recipes.stream().map(Recipe::slots).toList();
    }

    boolean needsParameters() {
        return recipes.stream().anyMatch(Recipe::readsParameters);
    }

    /// `sha256:` over the programs' text: equal hashes mean state moves between sessions bit for bit.
    String hash() {
        var texts = new ArrayList<String>();
        recipes.forEach(recipe -> texts.add(recipe.text()));
        try {
            var digest = MessageDigest.getInstance("SHA-256")
                    .digest(String.join("\n", texts).getBytes(StandardCharsets.UTF_8));
            return "sha256:" + HexFormat.of().formatHex(digest);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }
}
