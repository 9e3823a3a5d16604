package dev.stepd.session;

import dev.stepd.engine.StatePart;
import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.store.StoredSnapshot;
import dev.stepd.tensor.Part;
import dev.stepd.tensor.SafetensorsHeader;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// A snapshot in memory of its own, with its digest proved: what is here is what was stored.
record LoadedSnapshot(StoredSnapshot stored, SafetensorsHeader manifest, List<Part> parts, Lease memory) {
    /// Loads and proves a snapshot; blocks.
    ///
    /// @throws ServiceException `CONFLICT` when it is damaged, `UNAVAILABLE` when there is no memory or no database now
    static LoadedSnapshot load(Resources resources, StoredSnapshot stored) {
        var manifest = manifest(stored);
        var memory = resources.spare(stored.bytes(), "snapshot " + stored.id());
        try {
            var bytes = memory.memory().asSlice(0, stored.bytes());
            resources.store().read(stored, bytes);
            var parts = manifest.entries().stream()
                    .map(e -> new Part(e.key(), e.dtype(), e.shape(), bytes.asSlice(e.begin(), e.byteCount())))
                    .toList();
            var digest = StateDigest.of(
                    stored.step(), stored.tensorSteps(), parts.stream().map(StatePart::of).toList());
            if (!digest.equals(stored.digest())) {
                throw damaged(stored, "it was stored with digest " + stored.digest() + ", what was loaded has " + digest);
            }
            return new LoadedSnapshot(stored, manifest, parts, memory);
        } catch (RuntimeException e) {
            memory.release();
            throw e;
        }
    }

    /// Puts the loaded state in the place of the session's; on the strand. Throws with nothing changed, but for what fails the session.
    void applyTo(LiveSession session) {
        if (!stored.programHash().equals(session.programHash())) {
            throw new ServiceException(ErrorCode.CONFLICT, "snapshot " + stored.id() + " was made by program "
                    + stored.programHash() + ", the session now runs " + session.programHash());
        }
        var stepper = session.stepper();
        var targets = new HashMap<String, StatePart>();
        stepper.parameters().forEach(part -> targets.put(part.key(), part));
        stepper.slots().forEach(part -> targets.put(part.key(), part));
        parts.forEach(part -> checkFits(part, targets));
        boolean withParameters = parts.stream().anyMatch(part -> part.key().indexOf('#') < 0);
        if (stepper.hasParameters() && !withParameters) {
            throw new ServiceException(ErrorCode.CONFLICT, "snapshot " + stored.id()
                    + " is from before the parameters were uploaded and has none");
        }
        long expected = stepper.slots().size() + (withParameters ? stepper.parameters().size() : 0);
        if (parts.size() != expected) {
            throw damaged(stored, "it has " + parts.size() + " arrays, the session " + expected);
        }
        session.changing("the restore of snapshot " + stored.id(), () -> {
            if (withParameters) {
                stepper.parametersLoaded(); // before the slots: some would start at the parameters anew
            }
            for (var part : parts) {
                targets.get(part.key()).array().write(0, part.data());
            }
        });
        stepper.resumeAt(stored.step(), stored.tensorSteps());
        session.steps().forget();
        session.changed();
    }

    private void checkFits(Part part, Map<String, StatePart> targets) {
        var target = targets.get(part.key());
        if (target == null || target.dtype() != part.dtype() || !target.shape().equals(part.shape())) {
            throw damaged(stored, part.key() + " " + part.dtype() + " " + part.shape() + " is no array of the session");
        }
    }

    private static SafetensorsHeader manifest(StoredSnapshot stored) {
        try {
            var manifest = SafetensorsHeader.parse(stored.manifest());
            if (manifest.dataBytes() != stored.bytes()) {
                throw damaged(stored, "its manifest names " + manifest.dataBytes() + " of " + stored.bytes() + " bytes");
            }
            return manifest;
        } catch (ServiceException e) {
            throw e.code() == ErrorCode.CONFLICT ? e : damaged(stored, e.getMessage());
        }
    }

    private static ServiceException damaged(StoredSnapshot stored, String how) {
        return new ServiceException(ErrorCode.CONFLICT, "snapshot " + stored.id() + " is damaged: " + how);
    }
}
