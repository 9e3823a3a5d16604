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
            new Lion(),
            new Adan(),
            new Madgrad(),
            new MirrorMadgrad(),
            new SgdSai(),
            new Swats(),
            new Lars(),
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
            new Fromage(),
            new Rprop(),
            new Asgd(),
            new Qhm());

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
