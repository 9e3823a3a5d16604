package dev.stepd.rule;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.Nearest;
import dev.stepd.error.ServiceException;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// Every optimizer by name, what goes around one, and the names that stand for both together.
public final class Catalogue {
    private static final List<Rule> RULES = List.of(
            new Sgd(),
            new SignSgd(),
            new Signum(),
            new Adagrad(),
            new RmsProp(),
            new Adadelta(),
            new Adam(),
            new AdamW(),
            new AmsGrad(),
            new Adamax(),
            new NAdam(),
            new RAdam(),
            new Adan(),
            new Lion(),
            new AdaBelief(),
            new AdaBound(),
            new AmsBound(),
            new AdaMod(),
            new DiffGrad(),
            new Yogi(),
            new Madgrad(),
            new MirrorMadgrad(),
            new Adopt(),
            new ExAdam(),
            new SgdSai(),
            new Spam(),
            new StableSpam(),
            new Swats(),
            new Lars(),
            new Lamb(),
            new NovoGrad(),
            new FedAdam(),
            new FedYogi(),
            new FedAdagrad(),
            new SgdHd(),
            new AuON(),
            new Prodigy(),
            new DAdaptAdam(),
            new DAdaptSgd(),
            new DAdaptLion(),
            new DAdaptAdagrad(),
            new AdEmaMix(),
            new Fromage(),
            new Rprop(),
            new Asgd(),
            new LaProp(),
            new Qhm(),
            new QhAdam(),
            new AdamP(),
            new Sgdp(),
            new Scale(),
            new SubsetNorm(),
            new Mars(),
            new Nero(),
            new Padam(),
            new AggMo(),
            new AdaHessian(),
            new SophiaG(),
            new SophiaH(),
            new Sania(),
            new Core(),
            new AdamHd(),
            new Gravity(),
            new LionK(),
            new ComplexMomentum());

    private static final List<Wrapper> WRAPPERS = List.of(new Lookahead(), new Grokfast(), new Cautious(), new ScheduleFree());

    private static final List<Wrapper> AVERAGES =
            List.of(new ExponentialAverage(), new StochasticWeightAverage(), new BiasCorrectedAverage());

    private static final List<Preset> PRESETS =
            Stream.concat(Presets.all().stream(), FormatPresets.all().stream()).toList();

    private Catalogue() {}

    public static List<Rule> rules() {
        return RULES;
    }

    /// What goes around any optimizer.
    public static List<Wrapper> wrappers() {
        return WRAPPERS;
    }

    /// The averages of parameters a session can keep.
    public static List<Wrapper> averages() {
        return AVERAGES;
    }

    /// The names that stand for compositions.
    public static List<Preset> presets() {
        return PRESETS;
    }

    /// Whether a preset is one for the format of its slots.
    public static boolean isFormat(Preset preset) {
        return preset.byDefault().state() != null;
    }

    /// @throws ServiceException [ErrorCode#UNKNOWN_NAME] with the nearest name
    public static Rule find(String name) {
        return RULES.stream().filter(rule -> rule.spec().name().equals(name)).findFirst().orElseThrow(() ->
                unknown("optimizer.name", "optimizer", name, Stream.concat(
                        RULES.stream().map(Rule::spec), PRESETS.stream().map(Preset::spec))));
    }

    /// The preset of this name, or null where it is none.
    static @Nullable Preset findPreset(String name) {
        return PRESETS.stream().filter(preset -> preset.spec().name().equals(name)).findFirst().orElse(null);
    }

    /// @param path the field that names the wrapper
    /// @throws ServiceException [ErrorCode#UNKNOWN_NAME] with the nearest name
    static Wrapper findWrapper(String path, String name) {
        return find(WRAPPERS, path, "wrapper", name);
    }

    /// @param path the field that names the average
    /// @throws ServiceException [ErrorCode#UNKNOWN_NAME] with the nearest name
    static Wrapper findAverage(String path, String name) {
        return find(AVERAGES, path, "average", name);
    }

    private static Wrapper find(List<Wrapper> among, String path, String kind, String name) {
        return among.stream().filter(wrapper -> wrapper.spec().name().equals(name)).findFirst().orElseThrow(() ->
                unknown(path, kind, name, among.stream().map(Wrapper::spec)));
    }

    private static ServiceException unknown(String path, String kind, String name, Stream<Spec> known) {
        var names = known.map(Spec::name).toList();
        return new ServiceException(ErrorCode.UNKNOWN_NAME,
                path + ": unknown " + kind + " \"" + name + "\"" + Nearest.hint(name, names) + "; known are " + names);
    }
}
