package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import dev.stepd.expr.Type;
import dev.stepd.tensor.TensorSpec;
import java.util.List;

/// SGD whose rows all have the same size, with momentum where it matters most, and Adam for vectors.
///
///     matrix: m <- mu*m + (1 - mu)*g where `momentum_on` says so, else m = g
///     delta = -lr*wd*p - lr * m / max(rms of m over its row, 1e-8)
///     vector: AdamW with the rate a = adam_lr * lr / lr before schedules and eps next to the uncorrected root
///     delta = -a*wd*p - a*sqrt(1 - b2^t)/(1 - b1^t) * m / (sqrt(v) + eps)
///
/// State: 4 bytes a parameter of matrices with momentum, none of others, 8 of vectors. *A minimalist optimizer design for LLM
/// pretraining*, 2025, arXiv:2506.16659, Algorithm 1; follows OptimAI-Lab/Minimalist_LLM_Pretraining. Rows are the first dimension:
/// output units.
final class Scale implements Rule {
    private static final String MOMENTUM = "matrix with momentum";

    @Override
    public Spec spec() {
        return Spec.of("scale", "SGD with rows of equal size",
                        "Glentis, Li, Han, Hong: A minimalist optimizer design for LLM pretraining, 2025, arXiv:2506.16659")
                .follows("OptimAI-Lab/Minimalist_LLM_Pretraining@f5bd4e7 mem_eff_pt/pt_scale/scale_optimizer.py")
                .lr(1e-4)
                .weightDecay(0)
                .decay("momentum", 0.9, "how much of the mean gradient is kept each step")
                .real("adam_lr", 1e-4, Hyperparameter.Range.NON_NEGATIVE, "learning rate of vectors while lr is as it is set")
                .decay("adam_beta1", 0.9, "how much of a vector's mean gradient is kept each step")
                .decay("adam_beta2", 0.999, "how much of a vector's mean squared gradient is kept each step")
                .real("adam_eps", 1e-8, Hyperparameter.Range.NON_NEGATIVE, "added to the root of a vector's second moment")
                .choice("momentum_on", "the matrices that have momentum: the last one, all or none", "last", "all", "none")
                .slot("moment1", Spec.Sign.SIGNED)
                .slot("moment2", Spec.Sign.UNSIGNED)
                .build();
    }

    @Override
    public List<View> views(List<TensorSpec> tensors, Settings settings) {
        int last = -1;
        for (int i = 0; i < tensors.size(); i++) {
            last = View.isMatrix(tensors.get(i).shape()) ? i : last;
        }
        var momentum = settings.choice("momentum_on");
        var views = View.matricesAndVectors(tensors).toArray(View[]::new);
        for (int i = 0; i < views.length; i++) {
            if (views[i].kind().equals(View.MATRIX) && (momentum.equals("all") || momentum.equals("last") && i == last)) {
                views[i] = views[i].as(MOMENTUM);
            }
        }
        return List.of(views);
    }

    @Override
    public List<String> kinds() {
        return List.of(View.MATRIX, MOMENTUM, View.VECTOR);
    }

    @Override
    public List<Assignment> step(Inputs in) {
        if (in.is(View.VECTOR)) {
            return vector(in);
        }
        if (in.is(View.MATRIX)) {
            return List.of(in.delta(matrix(in, in.grad())));
        }
        var moment = in.slot("moment1");
        var m = Inputs.ema(moment.old(), in.grad(), in.hyper("momentum"));
        return List.of(in.delta(matrix(in, m)), moment.becomes(m));
    }

    private static Expr matrix(Inputs in, Expr direction) {
        var rms = Inputs.sqrt(Inputs.mean(Scope.ROW, direction.as(Type.F64).squared()));
        return in.decoupledDecay(in.hyper("lr").negate().times(direction.over(Inputs.max(rms, Expr.constant(1e-8)))));
    }

    private static List<Assignment> vector(Inputs in) {
        var beta1 = in.hyper("adam_beta1");
        var beta2 = in.hyper("adam_beta2");
        var moment1 = in.slot("moment1");
        var moment2 = in.slot("moment2");
        var m = Inputs.ema(moment1.old(), in.grad(), beta1);
        var v = Inputs.ema(moment2.old(), in.grad().squared(), beta2);
        var rate = in.hyper("adam_lr").times(in.scheduled("lr"));
        var corrected = rate.times(Inputs.sqrt(in.biasCorrection(beta2))).over(in.biasCorrection(beta1));
        var step = corrected.negate().times(m.over(Inputs.sqrt(v).plus(in.hyper("adam_eps"))));
        return List.of(in.delta(in.decoupledDecay(step, rate)), moment1.becomes(m), moment2.becomes(v));
    }
}
