package dev.stepd.engine;

import dev.stepd.device.Array;
import dev.stepd.device.Device;
import dev.stepd.device.Domain;
import dev.stepd.expr.Buffer;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/// The plans of one optimizer by what the host decides, each made when it is first needed.
final class Variants implements AutoCloseable {
    /// The outcome of tensors that disagree; no set of conditions has it.
    static final long UNDECIDED = -1;

    private final Recipe recipe;
    private final boolean updatesParameters;
    private final boolean measuresNorms;
    private final Device device;
    private final Domain domain;
    private final Map<Buffer, Array> arrays;
    private final Map<Buffer, Long> inBody;
    private final List<String> names;
    private final HostProgram conditions;
    private final int conditionCount;
    private long[] outcomes = new long[0];
    private Variant[] variants = new Variant[0];

    /// @param inBody where in a step's body the arrays lie that come with it
    Variants(
            Recipe recipe,
            boolean updatesParameters,
            boolean measuresNorms,
            Device device,
            Domain domain,
            Map<Buffer, Array> arrays,
            Map<Buffer, Long> inBody) {
        this.recipe = recipe;
        this.updatesParameters = updatesParameters;
        this.measuresNorms = measuresNorms;
        this.device = device;
        this.domain = domain;
        this.arrays = arrays;
        this.inBody = inBody;
        this.names = Recipe.hostNames(recipe.settings());
        this.conditions = new HostProgram(recipe.conditions(), names);
        this.conditionCount = recipe.conditions().size();
    }

    /// What the host decides for tensors with these values.
    long decide(double[] hyper, long t, long latest) {
        conditions.evaluate(hyper, t, latest);
        long outcome = 0;
        for (int i = 0; i < conditionCount; i++) {
            outcome |= conditions.condition(i) ? 1L << i : 0;
        }
        return outcome;
    }

    Variant find(long outcome) {
        for (int i = 0; i < outcomes.length; i++) {
            if (outcomes[i] == outcome) {
                return variants[i];
            }
        }
        return add(outcome);
    }

    private Variant add(long outcome) {
        var plan = measuresNorms
                ? recipe.measuredPlan(updatesParameters, outcome)
                : recipe.plan(updatesParameters, outcome);
        var variant = new Variant(plan, names, device, domain, arrays, inBody);
        outcomes = Arrays.copyOf(outcomes, outcomes.length + 1);
        variants = Arrays.copyOf(variants, variants.length + 1);
        outcomes[outcomes.length - 1] = outcome;
        variants[variants.length - 1] = variant;
        return variant;
    }

    @Override
    public void close() {
        for (var variant : variants) {
            variant.close();
        }
    }
}
