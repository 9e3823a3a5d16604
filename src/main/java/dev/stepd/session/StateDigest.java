package dev.stepd.session;

import dev.stepd.engine.StatePart;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// One hash over everything a session keeps, the same wherever and in whatever layout it is kept.
///
/// SHA-256 over the line `step=<n>`, the line `tensor_steps=[...]`, then for each array in canonical order a line
/// `<key> <dtype> <shape>` and its bytes, little-endian. Canonical: the tensors as declared, of each the parameter
/// and then its slots in the rule's order; what belongs to no tensor comes last.
final class StateDigest {
    private static final long SLICE_BYTES = 1 << 30;

    private final MessageDigest sha = sha256();

    /// A digest that arrays are added to one after the other, in canonical order.
    StateDigest(long step, List<Long> tensorSteps) {
        line("step=" + step);
        line("tensor_steps=" + tensorSteps);
    }

    /// @param parts in canonical order
    static String of(long step, List<Long> tensorSteps, List<StatePart> parts) {
        var digest = new StateDigest(step, tensorSteps);
        for (var part : parts) {
            digest.begin(part.key(), part.dtype(), part.shape());
            Copying.show(part.array(), digest::update);
        }
        return digest.finish();
    }

    /// The bytes that follow are of this array.
    void begin(String key, DType dtype, Shape shape) {
        line(key + " " + dtype + " " + shape);
    }

    void update(MemorySegment data) {
        for (long at = 0; at < data.byteSize(); at += SLICE_BYTES) {
            sha.update(data.asSlice(at, Math.min(SLICE_BYTES, data.byteSize() - at)).asByteBuffer());
        }
    }

    String finish() {
        return "sha256:" + HexFormat.of().formatHex(sha.digest());
    }

    /// @param tensors names as declared
    static List<StatePart> canonical(List<String> tensors, List<StatePart> parameters, List<StatePart> slots) {
        Map<String, List<StatePart>> byTensor = new LinkedHashMap<>();
        tensors.forEach(name -> byTensor.put(name, new ArrayList<>()));
        Map<String, StatePart> parameterOf = new HashMap<>();
        parameters.forEach(part -> parameterOf.put(part.key(), part));
        for (var tensor : tensors) {
            var parameter = parameterOf.get(tensor);
            if (parameter != null) {
                byTensor.get(tensor).add(parameter);
            }
        }
        for (var slot : slots) {
            var tensor = slot.key().substring(0, Math.max(0, slot.key().indexOf('#')));
            byTensor.computeIfAbsent(tensor, none -> new ArrayList<>()).add(slot);
        }
        return byTensor.values().stream().flatMap(List::stream).toList();
    }

    private void line(String text) {
        sha.update(ByteBuffer.wrap((text + "\n").getBytes(StandardCharsets.UTF_8)));
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }
}
