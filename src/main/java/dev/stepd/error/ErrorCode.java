package dev.stepd.error;

/// Every way a request can fail, with the HTTP status it becomes. The lower-case, dashed name
/// ([#slug]) ends the problem's `type` and never changes once released.
public enum ErrorCode {
    /// The body breaks its format: framing, JSON syntax, a length. Do not retry unchanged.
    MALFORMED_BODY(Category.USER, 400),
    /// A query parameter or header is not of its form.
    INVALID_REQUEST(Category.USER, 400),
    /// No credentials, or wrong ones.
    UNAUTHENTICATED(Category.USER, 401),
    /// Credentials that do not reach this resource.
    FORBIDDEN(Category.USER, 403),
    /// No such session, snapshot, optimizer or path.
    NOT_FOUND(Category.USER, 404),
    /// The path exists, the verb does not.
    METHOD_NOT_ALLOWED(Category.USER, 405),
    /// The body stopped arriving for longer than the server waits. Retry as it was.
    BODY_TIMEOUT(Category.USER, 408),
    /// `Stepd-Step` is neither the next step nor the last one. Carries `current_step`, `durable_step`.
    STEP_MISMATCH(Category.USER, 409),
    /// The optimizer reads parameter values and none were uploaded.
    PARAMETERS_MISSING(Category.USER, 409),
    /// The session belongs to another server that shares the database. Carries `owner`; ask that server.
    NOT_OWNER(Category.USER, 409),
    /// The session is in a state that excludes the request (closing, already stepped).
    CONFLICT(Category.USER, 409),
    /// A body above its limit; the detail names the limit.
    BODY_TOO_LARGE(Category.USER, 413),
    /// A content type the endpoint does not read.
    UNSUPPORTED_MEDIA_TYPE(Category.USER, 415),
    /// A well-formed value out of its bounds: shape, dtype, name, number.
    INVALID_VALUE(Category.USER, 422),
    /// An optimizer, tensor, hyperparameter or schedule that does not exist; the detail has the nearest name.
    UNKNOWN_NAME(Category.USER, 422),
    /// A gradient holds NaN or infinity and the session rejects them.
    NON_FINITE(Category.USER, 422),
    /// The step exists already and was made from another body.
    STEP_BODY_DIFFERS(Category.USER, 422),
    /// A device that was asked for by name is absent.
    DEVICE_UNAVAILABLE(Category.USER, 422),
    /// Too many bytes in flight; retry after the stated seconds.
    TOO_MANY_REQUESTS(Category.RESOURCE, 429),
    /// A defect of stepd. The log has the stack.
    INTERNAL(Category.INTERNAL, 500),
    /// Part of the contract that this version does not have.
    NOT_IMPLEMENTED(Category.USER, 501),
    /// Starting, draining, or the database is away; retry after the stated seconds.
    UNAVAILABLE(Category.UNAVAILABLE, 503),
    /// No memory for this session; the detail has bytes needed and free.
    OUT_OF_MEMORY(Category.RESOURCE, 507),
    /// No room on the disk for what the session promised to keep; nothing changed. Retry when there is room.
    STORAGE_FULL(Category.RESOURCE, 507);

    /// Who can do something about it.
    public enum Category {
        /// The caller, by changing the request.
        USER,
        /// The caller, later, or the operator, with more memory.
        RESOURCE,
        /// Time.
        UNAVAILABLE,
        /// The authors of stepd.
        INTERNAL
    }

    private final Category category;
    private final int status;

    ErrorCode(Category category, int status) {
        this.category = category;
        this.status = status;
    }

    public Category category() {
        return category;
    }

    /// The HTTP status.
    public int status() {
        return status;
    }

    /// Whether the same request may succeed later.
    public boolean retryable() {
        return this == TOO_MANY_REQUESTS || this == UNAVAILABLE || this == BODY_TIMEOUT || this == STORAGE_FULL;
    }

    /// `step-mismatch` for [#STEP_MISMATCH].
    public String slug() {
        return name().toLowerCase(java.util.Locale.ROOT).replace('_', '-');
    }
}
