package dev.stepd.error;

import java.util.Map;

/// The one exception of stepd. Its message is the problem's `detail`: it names the field, the value and
/// the bound. Nothing has changed when it is thrown.
public final class ServiceException extends RuntimeException {
    private final ErrorCode code;
    private final transient Map<String, Object> members;

    public ServiceException(ErrorCode code, String message) {
        this(code, message, Map.of());
    }

    /// @param members further members of the problem, such as `current_step`
    public ServiceException(ErrorCode code, String message, Map<String, Object> members) {
        super(message);
        this.code = code;
        this.members = Map.copyOf(members);
    }

    public ServiceException(ErrorCode code, String message, Throwable cause) {
        super(message, cause);
        this.code = code;
        this.members = Map.of();
    }

    public ErrorCode code() {
        return code;
    }

    public Map<String, Object> members() {
        return members;
    }
}
