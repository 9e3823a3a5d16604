package dev.stepd.session;

/// A session has its optimizer in memory, or could not be brought back, or is another server's.
sealed interface Life permits LiveSession, LostSession, ElsewhereSession {
    Session.Status status();
}
