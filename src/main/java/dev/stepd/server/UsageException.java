package dev.stepd.server;

/// The program cannot run as it was called or configured; the message is the one line the user sees.
final class UsageException extends RuntimeException {
    UsageException(String message) {
        super(message);
    }
}
