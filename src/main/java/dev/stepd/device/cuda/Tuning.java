package dev.stepd.device.cuda;

/// What decides how plans are run, and never what comes out.
///
/// @param smallElements up to which a plan runs in one launch
/// @param chunkBytes of a body that is copied and computed piece by piece: each chunk costs some calls, and the first copy in and
///     the last one out overlap with nothing
record Tuning(long smallElements, long chunkBytes) {
    /// A block of threads takes about as long for so many elements as it takes to launch each kernel and copy by itself.
    private static final long SMALL_ELEMENTS = 32 << 10;
    private static final long CHUNK_BYTES = 8 << 20;

    static final Tuning DEFAULT = new Tuning(SMALL_ELEMENTS, CHUNK_BYTES);
}
