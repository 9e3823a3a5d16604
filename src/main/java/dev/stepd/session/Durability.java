package dev.stepd.session;

/// What a session keeps across a restart.
enum Durability {
    /// Nothing but the snapshots a client asks for.
    NONE,
    /// A snapshot every so many steps, after every upload, and at shutdown.
    SNAPSHOT,
    /// Every step that was answered, and snapshots as well, which bound what has to be taken again.
    JOURNAL;

    /// Whether anything but requested snapshots is kept.
    boolean keeps() {
        return this != NONE;
    }
}
