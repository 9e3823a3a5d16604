package dev.stepd.session;

import dev.stepd.engine.BodyLayout;
import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/// What the steps of a session bring beside gradients: where it goes, and whether a body has what belongs together. Safe for
/// concurrent use.
final class ExtraInputs {
    private static final BitSet NONE = new BitSet();

    /// What a body that was looked at before brought.
    private record Known(Expected.Match match, BitSet given) {}

    private final String optimizer;
    private final BodyLayout body;
    private final List<String> tensors;
    private volatile @Nullable Known last;

    /// @param optimizer its name, for messages
    /// @param tensors in the order the session declares them
    ExtraInputs(String optimizer, BodyLayout body, List<String> tensors) {
        this.optimizer = optimizer;
        this.body = body;
        this.tensors = List.copyOf(tensors);
    }

    /// The arrays a body may have, at the bits [#bit] says.
    List<Expected.Place> places() {
        var places = new ArrayList<Expected.Place>();
        for (int i = 0; i < body.inputs().size(); i++) {
            var input = body.inputs().get(i);
            if (!input.ofTensors()) {
                places.add(new Expected.Place(input.spec().key(""), DType.F32, Shape.of(), bit(i, 0), input.offset()));
                continue;
            }
            for (var place : body.layout().places()) {
                var tensor = place.tensor();
                places.add(new Expected.Place(input.spec().key(tensor.name()), DType.F32, tensor.shape(),
                        bit(i, place.index()), input.offset() + place.offset() * Float.BYTES));
            }
        }
        return places;
    }

    /// What may come, for messages: `<tensor>#hess_grad`.
    String names() {
        return body.inputs().stream().map(input -> input.spec().key("<tensor>")).collect(Collectors.joining(", "));
    }

    private int bit(int input, int tensor) {
        return input * Math.max(1, tensors.size()) + tensor;
    }

    /// The inputs that a body brings, by their position: each for all the tensors it has a gradient of, or not at all. The same match
    /// again costs nothing.
    ///
    /// @throws ServiceException `INVALID_VALUE`
    BitSet given(Expected.Match match) {
        if (body.inputs().isEmpty()) {
            return NONE;
        }
        var before = last;
        if (before != null && before.match() == match) {
            return before.given();
        }
        var given = new BitSet();
        for (int i = 0; i < body.inputs().size(); i++) {
            given.set(i, body.inputs().get(i).ofTensors() ? ofTensors(i, match) : ofSession(i, match));
        }
        last = new Known(match, given);
        return given;
    }

    private boolean ofSession(int input, Expected.Match match) {
        boolean here = match.extras().get(bit(input, 0));
        var spec = body.inputs().get(input).spec();
        if (!here && spec.required()) {
            throw missing(spec.key(""), "every step of " + optimizer + " brings it, one number: " + spec.meaning());
        }
        return here;
    }

    private boolean ofTensors(int input, Expected.Match match) {
        var spec = body.inputs().get(input).spec();
        int here = 0;
        int absent = -1;
        for (int tensor = 0; tensor < tensors.size(); tensor++) {
            boolean came = match.extras().get(bit(input, tensor));
            boolean expected = match.present().get(tensor);
            if (came && !expected) {
                var name = tensors.get(tensor);
                throw new ServiceException(ErrorCode.INVALID_VALUE, "input " + spec.key(name) + " came without gradient "
                        + name + ": a tensor brings both or neither");
            }
            here += came ? 1 : 0;
            absent = absent < 0 && expected && !came ? tensor : absent;
        }
        if (absent >= 0 && (here > 0 || spec.required())) {
            throw missing(spec.key(tensors.get(absent)), spec.required()
                    ? "every step of " + optimizer + " brings " + spec.name() + " for each tensor it has a gradient of"
                    : "a step brings " + spec.name() + " for each tensor it has a gradient of, or for none; " + here + " of "
                            + match.present().cardinality() + " came");
        }
        return here > 0 || spec.required();
    }

    private static ServiceException missing(String key, String rule) {
        return new ServiceException(ErrorCode.INVALID_VALUE, "input " + key + " is missing: " + rule);
    }
}
