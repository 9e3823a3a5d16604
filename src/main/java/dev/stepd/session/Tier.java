package dev.stepd.session;

import java.util.Locale;

/// Where the state of a session is.
enum Tier {
    /// On its device, ready for a step.
    DEVICE,
    /// Asleep in main memory.
    MEMORY,
    /// Asleep in a file.
    DISK;

    /// As clients see it.
    String text() {
        return name().toLowerCase(Locale.ROOT);
    }
}
