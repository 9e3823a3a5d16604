package dev.stepd.rule;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.Nearest;
import dev.stepd.error.ServiceException;
import java.util.List;

/// Every optimizer by name.
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
            new Core());

    private Catalogue() {}

    public static List<Rule> rules() {
        return RULES;
    }

    /// @throws ServiceException [ErrorCode#UNKNOWN_NAME] with the nearest name
    public static Rule find(String name) {
        return RULES.stream().filter(rule -> rule.spec().name().equals(name)).findFirst().orElseThrow(() -> {
            var names = RULES.stream().map(rule -> rule.spec().name()).toList();
            return new ServiceException(ErrorCode.UNKNOWN_NAME,
                    "optimizer.name: unknown optimizer \"" + name + "\"" + Nearest.hint(name, names) + "; known are " + names);
        });
    }
}
