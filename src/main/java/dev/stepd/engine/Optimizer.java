package dev.stepd.engine;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.Nearest;
import dev.stepd.error.ServiceException;
import dev.stepd.rule.Clip;
import dev.stepd.rule.Settings;
import dev.stepd.rule.Spec;
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
record Optimizer(
        Settings settings, Clip clip, StateFormat format, Layout layout, List<Recipe> recipes, Engine.Metrics metrics) {
    static Optimizer of(Engine.Blueprint blueprint) {
        var composition = blueprint.composition();
        var settings = Settings.read(composition, blueprint.groups(), blueprint.schedule());
        var clip = Clip.read(composition.clip());
        clip.check(settings, blueprint.tensors());
        var format = StateFormat.read(composition.state());
        var layout = layout(settings, clip, format, blueprint.tensors());
        var recipes = layout.kinds().stream().map(kind -> new Recipe(settings, clip, kind, format)).toList();
        checkSlots(settings, format, recipes);
        return new Optimizer(settings, clip, format, layout, recipes, blueprint.metrics());
    }

    /// A step that joins all tensors is one program, so it has one kind: all are coded if one is.
    private static Layout layout(Settings settings, Clip clip, StateFormat format, List<TensorSpec> tensors) {
        var views = settings.rule().views(tensors, settings);
        boolean joined = Recipe.each(settings, clip).stream().anyMatch(Recipe::joinsTensors);
        boolean all = joined && tensors.stream().anyMatch(tensor -> format.codes(tensor.elementCount()));
        var kinds = new ArrayList<Kind>();
        for (int i = 0; i < tensors.size(); i++) {
            boolean coded = all || !joined && format.codes(tensors.get(i).elementCount());
            kinds.add(new Kind(views.get(i).kind(), tensors.get(i).dtype(), coded));
        }
        if (joined && kinds.stream().distinct().count() > 1) {
            throw new ServiceException(ErrorCode.INVALID_VALUE, "tensors have the dtypes "
                    + tensors.stream().map(TensorSpec::dtype).distinct().toList() + ", expected one: "
                    + settings.rule().spec().name() + " sums over all tensors of the session");
        }
        var groups = tensors.stream().map(tensor -> settings.groupOf(tensor.name())).toList();
        return Layout.of(tensors, kinds, views, groups);
    }

    private static void checkSlots(Settings settings, StateFormat format, List<Recipe> recipes) {
        var known = settings.rule().kinds().stream()
                .flatMap(kind -> settings.slots(kind).stream())
                .map(Spec.SlotSpec::name)
                .distinct()
                .toList();
        for (var name : format.slots().keySet()) {
            if (!known.contains(name)) {
                throw new ServiceException(ErrorCode.UNKNOWN_NAME, "state.slots: there is no slot \"" + name + "\""
                        + Nearest.hint(name, known) + "; known are " + known);
            }
        }
        for (var recipe : recipes) {
            for (var slot : recipe.stored()) {
                if (StateFormat.isCoarse(slot.codec()) && slot.spec().fine() != null) {
                    var field = format.slots().containsKey(slot.spec().name()) ? "slots." + slot.spec().name() : "format";
                    throw new ServiceException(ErrorCode.INVALID_VALUE, "state." + field + " is " + slot.codec().name()
                            + ", expected f32, bf16 or f16 for the slot " + slot.spec().name() + ": " + slot.spec().fine()
                            + "; say so in state.slots");
                }
            }
        }
    }

    /// Every slot by kind, as the session keeps them.
    List<List<Stored>> slots() {
        return recipes.stream().map(Recipe::stored).toList();
    }

    /// Whether steps measure what they leave.
    boolean measuresNorms() {
        return metrics == Engine.Metrics.NORMS;
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
