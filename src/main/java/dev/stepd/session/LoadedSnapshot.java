package dev.stepd.session;

import dev.stepd.engine.StatePart;
import dev.stepd.engine.Stepper;
import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.store.StoredSnapshot;
import dev.stepd.tensor.SafetensorsHeader;
import dev.stepd.tensor.SafetensorsHeader.Entry;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.function.Consumer;

/// A snapshot beside the session, in main memory or in a file, with its digest proved: what is here is what was stored.
record LoadedSnapshot(StoredSnapshot stored, SafetensorsHeader manifest, Image image) {
    /// Loads and proves a snapshot; blocks.
    ///
    /// @throws ServiceException `CONFLICT` when it is damaged, `UNAVAILABLE` when there is no room or no database now
    static LoadedSnapshot load(Resources resources, StoredSnapshot stored) {
        var manifest = manifest(stored);
        var memory = resources.putAside(stored.bytes(), "snapshot " + stored.id(), sink -> prove(resources, stored, manifest, sink));
        return new LoadedSnapshot(stored, manifest, Image.at(stored.step(), stored.tensorSteps(), manifest.entries(), memory));
    }

    /// Reads a snapshot and proves it without keeping anything of it; blocks.
    ///
    /// @throws ServiceException as [#load]
    static void check(Resources resources, StoredSnapshot stored) {
        prove(resources, stored, manifest(stored), _ -> {});
    }

    /// Loads a snapshot into the arrays of a session that does not serve yet, and proves it there. When this throws, they hold
    /// anything.
    ///
    /// @throws ServiceException as [#load], without the need for room
    static void loadInto(LiveSession session, StoredSnapshot stored) {
        var manifest = manifest(stored);
        checkFits(stored, manifest, session);
        var stepper = session.stepper();
        if (hasParameters(manifest)) {
            stepper.parametersLoaded(); // before the slots: some would start at the parameters anew
        }
        var targets = Image.targets(stepper);
        read(session.resources(), stored, manifest, (array, offset, bytes) -> targets.get(array.key()).array().write(offset, bytes));
        stepper.resumeAt(stored.step(), stored.tensorSteps());
        session.steps().forget();
        session.changed();
    }

    /// Puts the loaded state in the place of the session's; on the strand. Throws with nothing changed, but for what fails the session.
    void applyTo(LiveSession session) {
        checkFits(stored, manifest, session);
        session.changing("the restore of snapshot " + stored.id(), () -> image.putInto(session.stepper()));
        session.steps().forget();
        session.changed();
    }

    void release() {
        image.release();
    }

    private static void prove(Resources resources, StoredSnapshot stored, SafetensorsHeader manifest, Consumer<MemorySegment> sink) {
        read(resources, stored, manifest, (_, _, bytes) -> sink.accept(bytes));
    }

    /// Reads and proves a snapshot; what is wrong with it is told with the array where that is.
    private static void read(Resources resources, StoredSnapshot stored, SafetensorsHeader manifest, Unpacking.Places places) {
        var unpacking = new Unpacking(manifest, stored.step(), stored.tensorSteps(), places);
        try {
            resources.store().read(stored, unpacking);
        } catch (ServiceException e) {
            throw e.code() == ErrorCode.CONFLICT ? told(resources, stored, e, unpacking.array()) : e;
        }
        var digest = unpacking.digest();
        if (!digest.equals(stored.digest())) {
            throw damaged(stored, "it was stored with digest " + stored.digest() + ", what was loaded has " + digest);
        }
    }

    /// A chunk may be missing because the snapshot went meanwhile, as retention has it.
    private static ServiceException told(Resources resources, StoredSnapshot stored, ServiceException damage, String array) {
        if (resources.store().snapshot(stored.sessionId(), stored.id()).isEmpty()) {
            return new ServiceException(ErrorCode.NOT_FOUND, "snapshot " + stored.id() + " was deleted while it was read");
        }
        return new ServiceException(ErrorCode.CONFLICT, damage.getMessage() + ", in array " + array, damage);
    }

    private static void checkFits(StoredSnapshot stored, SafetensorsHeader manifest, LiveSession session) {
        if (!stored.programHash().equals(session.programHash())) {
            throw new ServiceException(ErrorCode.CONFLICT, "snapshot " + stored.id() + " was made by program "
                    + stored.programHash() + ", the session now runs " + session.programHash());
        }
        var stepper = session.stepper();
        var targets = Image.targets(stepper);
        manifest.entries().forEach(entry -> checkFits(stored, entry, targets));
        boolean withParameters = hasParameters(manifest);
        if (stepper.hasParameters() && !withParameters) {
            throw new ServiceException(ErrorCode.CONFLICT, "snapshot " + stored.id()
                    + " is from before the parameters were uploaded and has none");
        }
        checkCount(stored, manifest.entries().size(), stepper, withParameters);
    }

    private static void checkCount(StoredSnapshot stored, int arrays, Stepper stepper, boolean withParameters) {
        int expected = stepper.slots().size() + (withParameters ? stepper.parameters().size() : 0);
        if (arrays != expected) {
            throw damaged(stored, "it has " + arrays + " arrays, the session " + expected);
        }
    }

    private static void checkFits(StoredSnapshot stored, Entry array, Map<String, StatePart> targets) {
        var target = targets.get(array.key());
        if (target == null || target.dtype() != array.dtype() || !target.shape().equals(array.shape())) {
            throw damaged(stored, array.key() + " " + array.dtype() + " " + array.shape() + " is no array of the session");
        }
    }

    private static boolean hasParameters(SafetensorsHeader manifest) {
        return manifest.entries().stream().anyMatch(entry -> entry.key().indexOf('#') < 0);
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
