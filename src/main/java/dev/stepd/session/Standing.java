package dev.stepd.session;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import java.util.Map;

/// Whether a session takes work.
sealed interface Standing {
    record Ready() implements Standing {}

    /// The server is going down.
    record Draining() implements Standing {}

    /// Its state cannot be trusted; only a restore helps.
    record Failed(String reason) implements Standing {}

    /// Its device is lost, and its state with it; a restore on another device helps.
    record Stranded(String reason) implements Standing {}

    /// Another server has it now.
    record Taken(String owner) implements Standing {}

    record Deleted() implements Standing {}

    default void requireReady(String id) {
        switch (this) {
            case Ready() -> {}
            case Draining() -> throw new ServiceException(ErrorCode.UNAVAILABLE, "session " + id + " is draining");
            case Failed(var reason) -> throw failed(id, reason);
            case Stranded(var reason) -> throw stranded(id, reason);
            case Taken(var owner) -> throw taken(id, owner);
            case Deleted() -> throw new ServiceException(ErrorCode.NOT_FOUND, "no session " + id);
        }
    }

    static ServiceException failed(String id, String reason) {
        return new ServiceException(ErrorCode.CONFLICT,
                "session " + id + " failed: " + reason + "; restore one of its snapshots or delete it");
    }

    static ServiceException stranded(String id, String reason) {
        return new ServiceException(ErrorCode.CONFLICT, "session " + id + " failed: " + reason
                + "; restore one of its snapshots on another device, such as cpu, or delete it");
    }

    static ServiceException taken(String id, String owner) {
        return new ServiceException(ErrorCode.NOT_OWNER,
                "session " + id + " belongs to server " + owner + "; ask that one", Map.of("owner", owner));
    }

    /// As clients see it.
    default String text() {
        return switch (this) {
            case Ready() -> "ready";
            case Draining() -> "draining";
            case Failed(var reason) -> "failed: " + reason;
            case Stranded(var reason) -> "failed: " + reason;
            case Taken(var owner) -> "elsewhere: on server " + owner;
            case Deleted() -> "deleted";
        };
    }
}
