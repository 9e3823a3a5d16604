package dev.stepd.rule;

import dev.stepd.expr.Expr;
import dev.stepd.expr.Program.Assignment;
import dev.stepd.expr.Scope;
import dev.stepd.tensor.Shape;
import dev.stepd.tensor.TensorSpec;
import java.util.List;

/// Adam that divides by the Hessian's diagonal H, as Hutchinson's method estimates it, instead of the gradient.
///
///     D = |H|, of a convolution kernel [out, in, height, width] the mean of |H| over height and width
///     m <- b1*m + (1 - b1)*g        v <- b2*v + (1 - b2)*D^2
///     delta = -lr*wd*p - lr / (1 - b1^t) * m / (sqrt(v)^k / sqrt(1 - b2^t)^k + eps)
///
/// A tensor of four dimensions is a kernel. Those of three, and of five and more, the authors' code does not take; here each of
/// their elements stands for itself, as in matrices and vectors.
///
/// State: 8 bytes a parameter. Yao, Gholami, Shen, Mustafa, Keutzer, Mahoney, *ADAHESSIAN: an adaptive second order
/// optimizer for machine learning*, 2020, arXiv:2006.00719, Algorithm 1 with spatial averaging; follows the authors' code
/// for image classification.
final class AdaHessian implements Rule {
    private static final String KERNEL = "convolution kernel";
    private static final String OTHER = "tensor of other than four dimensions";

    @Override
    public Spec spec() {
        return Spec.of("adahessian", "Adam by the Hessian's diagonal",
                        "Yao, Gholami, Shen, Mustafa, Keutzer, Mahoney: ADAHESSIAN: an adaptive second order optimizer for machine learning, 2020, arXiv:2006.00719")
                .follows("amirgholami/adahessian@85ebc00 image_classification/optim_adahessian.py")
                .lr(0.15)
                .betas(0.9, 0.999)
                .eps(1e-4)
                .weightDecay(0)
                .real("hessian_power", 1, Hyperparameter.Range.UNIT, "power of the Hessian that is divided by: 0 leaves momentum")
                .slot("exp_avg", Spec.Sign.SIGNED)
                .slot("exp_hessian_diag_sq", Spec.Sign.UNSIGNED)
                .input("hessian_diag", Scope.ELEMENT, Spec.Presence.EVERY_STEP,
                        "Hutchinson's estimate z * (Hessian z) of the Hessian's diagonal, with z of -1 and 1; its sign does not count")
                .build();
    }

    @Override
    public List<View> views(List<TensorSpec> tensors, Settings settings) {
        return tensors.stream().map(tensor -> view(tensor.shape())).toList();
    }

    private static View view(Shape shape) {
        if (shape.extents().size() != 4) {
            return View.of(shape).as(OTHER);
        }
        return new View(KERNEL, 1, shape.elementCount() == 0 ? 0 : shape.extents().get(0) * shape.extents().get(1));
    }

    @Override
    public List<String> kinds() {
        return List.of(OTHER, KERNEL);
    }

    @Override
    public List<Assignment> step(Inputs in) {
        var beta1 = in.hyper("beta1");
        var beta2 = in.hyper("beta2");
        var power = in.hyper("hessian_power");
        var expAvg = in.slot("exp_avg");
        var expHessian = in.slot("exp_hessian_diag_sq");
        var size = Inputs.abs(in.input("hessian_diag"));
        var diagonal = in.is(KERNEL) ? Inputs.mean(Scope.ROW, size) : size;
        var m = Inputs.ema(expAvg.old(), in.grad(), beta1);
        var v = Inputs.ema(expHessian.old(), diagonal.squared(), beta2);
        var root = Inputs.sqrt(v).over(Inputs.sqrt(in.biasCorrection(beta2)));
        var corrected = Inputs.pow(Inputs.sqrt(v), power).over(Inputs.pow(Inputs.sqrt(in.biasCorrection(beta2)), power));
        var divisor = Expr.select(Inputs.equal(power, Inputs.one()), root, corrected).plus(in.hyper("eps"));
        var rate = in.hyper("lr").over(in.biasCorrection(beta1));
        return List.of(
                in.delta(in.decoupledDecay(rate.negate().times(m.over(divisor)))), expAvg.becomes(m), expHessian.becomes(v));
    }
}
