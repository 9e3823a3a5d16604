package dev.stepd.session;

/// A session either has its optimizer in memory or could not be brought back.
sealed interface Life permits LiveSession, LostSession {
    Session.Status status();
}
