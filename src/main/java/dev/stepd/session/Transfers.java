package dev.stepd.session;

import dev.stepd.device.Array;
import dev.stepd.device.HostArray;
import dev.stepd.error.ErrorCode;
import dev.stepd.error.Nearest;
import dev.stepd.error.ServiceException;
import dev.stepd.session.Session.Download;
import dev.stepd.session.Session.Status;
import dev.stepd.tensor.SafetensorsHeader;
import dev.stepd.tensor.SafetensorsMessage;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletionStage;
import java.util.function.Function;

/// Parameters and state of one session, in and out, whole.
final class Transfers {
    private final LiveSession session;
    private final Expected parameters;
    private final Expected slots;
    private final Expected plain;
    private final Map<String, String> formats;

    Transfers(LiveSession session) {
        this.session = session;
        parameters = Expected.like("parameter", session.stepper().parameters());
        slots = Expected.like("slot", session.stepper().slots());
        plain = Expected.of("slot", session.stepper().plainSpecs());
        formats = session.stepper().formats();
    }

    Incoming<Status> receiveParameters(long contentLength) {
        return Upload.begin(session, parameters, new Upload.Effect() {
            @Override
            public void check(SafetensorsHeader header, Expected.Match match) {
                parameters.requireAll(match, "");
            }

            @Override
            public CompletionStage<Status> apply(Expected.Match match, MemorySegment received) {
                for (var part : parameters.parts(received)) {
                    FiniteCheck.require("parameter " + part.key(), part.dtype(), part.data());
                }
                session.changing("an upload of parameters", () -> {
                    Copying.scatter(parameters.destinations(match, received), session.stepper().parameters());
                    session.stepper().parametersLoaded();
                });
                return stored();
            }
        }, contentLength);
    }

    Incoming<Status> receiveState(long contentLength) {
        return Upload.begin(session, slots, new Upload.Effect() {
            @Override
            public void check(SafetensorsHeader header, Expected.Match match) {
                StateMetadata.checkFormats(header.metadata(), formats);
                checkState(slots, header, match);
            }

            @Override
            public CompletionStage<Status> apply(Expected.Match match, MemorySegment received) {
                return takeState(slots, match, () ->
                        Copying.scatter(slots.destinations(match, received), session.stepper().slots()));
            }
        }, contentLength);
    }

    /// Values as rules know them, for slots in whatever format the session keeps them.
    Incoming<Status> receivePlainState(long contentLength) {
        return Upload.begin(session, plain, new Upload.Effect() {
            @Override
            public void check(SafetensorsHeader header, Expected.Match match) {
                checkState(plain, header, match);
            }

            @Override
            public CompletionStage<Status> apply(Expected.Match match, MemorySegment received) {
                var values = new HashMap<String, Array>();
                plain.destinations(match, received).forEach(part -> values.put(part.key(), new HostArray(part.data())));
                try (var encoding = session.stepper().encoding()) {
                    return takeState(plain, match, () -> encoding.take(values));
                }
            }
        }, contentLength);
    }

    private void checkState(Expected expected, SafetensorsHeader header, Expected.Match match) {
        StateMetadata.read(header.metadata(), session.tensorNames().size());
        if (session.step() != 0) {
            expected.requireAll(match, "; only before the first step may some be left out");
        }
    }

    private CompletionStage<Status> takeState(Expected expected, Expected.Match match, Runnable change) {
        if (session.stepper().step() != 0) {
            expected.requireAll(match, "; only before the first step may some be left out");
        }
        var steps = StateMetadata.read(match.header().metadata(), session.tensorNames().size());
        session.changing("an upload of state", change);
        steps.ifPresent(at -> session.stepper().resumeAt(at.step(), at.tensorSteps()));
        session.steps().forget();
        return stored();
    }

    CompletionStage<Download> parameters() {
        return session.ask(() -> {
            requireParameters();
            return filled(session.steps().spareBuffer(), copy -> new Download(
                    session.step(), session.steps().parametersInto(copy.memory()), copy.releaseOnce()));
        });
    }

    /// An average of the parameters as the last step left it.
    CompletionStage<Download> average(String name) {
        return session.ask(() -> {
            var known = session.stepper().averages();
            if (!known.contains(name)) {
                throw new ServiceException(ErrorCode.UNKNOWN_NAME, "average: session " + session.id() + " keeps "
                        + (known.isEmpty() ? "no averages of its parameters"
                                : "no average \"" + name + "\"" + Nearest.hint(name, known) + "; known are " + known));
            }
            requireParameters();
            return filled(session.steps().spareBuffer(), copy -> new Download(
                    session.step(), session.steps().averageInto(name, copy.memory()), copy.releaseOnce()));
        });
    }

    /// What is made in a copy, which is released if that fails.
    private static Download filled(Lease copy, Function<Lease, Download> fill) {
        try {
            return fill.apply(copy);
        } catch (RuntimeException e) {
            copy.release();
            throw e;
        }
    }

    private void requireParameters() {
        if (!session.stepper().hasParameters()) {
            throw new ServiceException(ErrorCode.PARAMETERS_MISSING,
                    "session " + session.id() + " has no parameter values: none were uploaded");
        }
    }

    /// The state with every slot in f32.
    CompletionStage<Download> plainState() {
        return session.ask(() -> {
            var stepper = session.stepper();
            var purpose = "a copy of the state of session " + session.id();
            var decoded = session.resources().spare(stepper.plainBytes(), purpose);
            try {
                var parts = stepper.plainSlots(decoded.memory());
                var flat = Expected.like("slot", parts);
                return filled(session.resources().copyAside(parts, flat.byteCount(), purpose), copy -> {
                    var header = new SafetensorsHeader(flat.header().entries(),
                            StateMetadata.write(stepper.step(), stepper.tensorSteps()));
                    return download(header, copy);
                });
            } finally {
                decoded.release();
            }
        });
    }

    CompletionStage<Download> state() {
        return session.ask(() -> {
            var stepper = session.stepper();
            var purpose = "a copy of the state of session " + session.id();
            return filled(session.resources().copyAside(stepper.slots(), slots.byteCount(), purpose), copy -> {
                var header = new SafetensorsHeader(slots.header().entries(),
                        StateMetadata.write(stepper.step(), stepper.tensorSteps(), stepper.formats()));
                return download(header, copy);
            });
        });
    }

    /// @param data what the header tells of, whole
    private Download download(SafetensorsHeader header, Lease data) {
        return new Download(session.stepper().step(), new SafetensorsMessage(header.framed(), List.of(data.memory())), data.releaseOnce());
    }

    CompletionStage<Session.Digest> digest() {
        return session.ask(() -> {
            var stepper = session.stepper();
            var parts = StateDigest.canonical(session.tensorNames(),
                    stepper.hasParameters() ? stepper.parameters() : List.of(), stepper.slots());
            return new Session.Digest(stepper.step(), StateDigest.of(stepper.step(), stepper.tensorSteps(), parts));
        });
    }

    /// Replaces the fields of the description that `changes` names.
    CompletionStage<Status> patch(Map<String, Object> changes) {
        return session.askStage(() -> {
            var merged = DescriptionPatch.apply(session.status().description(), changes);
            var next = SessionDescription.parse(merged);
            var before = session.programHash();
            session.reconfigure(next);
            var stored = before.equals(session.programHash())
                    ? session.snapshots().storeRow()
                    : session.snapshots().storeIfDurable();
            return stored.thenApply(nothing -> session.status());
        });
    }

    private CompletionStage<Status> stored() {
        session.changed();
        return session.snapshots().storeIfDurable().thenApply(nothing -> session.status());
    }
}
