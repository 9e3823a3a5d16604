package dev.stepd.http;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.Nearest;
import dev.stepd.error.ServiceException;
import io.micronaut.http.HttpRequest;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/// The query of a request. A name nobody asked for is refused rather than ignored: a misspelt `partial` would
/// otherwise change what a step does without a word.
final class QueryParameters {
    private final HttpRequest<?> request;

    private QueryParameters(HttpRequest<?> request) {
        this.request = request;
    }

    /// @throws ServiceException INVALID_REQUEST for a name not in `known`, or one given twice
    static QueryParameters of(HttpRequest<?> request, String... known) {
        if (request.getUri().getRawQuery() == null) {
            return new QueryParameters(request);
        }
        var names = Arrays.asList(known);
        for (var parameter : request.getParameters()) {
            if (!names.contains(parameter.getKey())) {
                throw refused("unknown query parameter " + parameter.getKey() + Nearest.hint(parameter.getKey(), names)
                        + "; " + (names.isEmpty() ? "there are none here" : "known are " + names));
            }
            if (parameter.getValue().size() > 1) {
                throw refused("query parameter " + parameter.getKey() + " is given " + parameter.getValue().size() + " times");
            }
        }
        return new QueryParameters(request);
    }

    Optional<String> text(String name) {
        return request.getUri().getRawQuery() == null ? Optional.empty() : request.getParameters().getFirst(name);
    }

    boolean flag(String name) {
        return choice(name, List.of("false", "true")).equals("true");
    }

    /// One of `choices`; the first when the parameter is absent.
    String choice(String name, List<String> choices) {
        var given = text(name).orElse(choices.getFirst());
        if (!choices.contains(given)) {
            throw refused("query parameter " + name + " is " + given + ", expected one of " + choices);
        }
        return given;
    }

    int integer(String name, int absent, int min, int max) {
        var text = text(name);
        if (text.isEmpty()) {
            return absent;
        }
        try {
            int value = Integer.parseInt(text.get());
            if (value >= min && value <= max) {
                return value;
            }
        } catch (NumberFormatException e) {
            // refused below, like any number out of bounds
        }
        throw refused("query parameter " + name + " is " + text.get() + ", expected a whole number of " + min + " to " + max);
    }

    private static ServiceException refused(String detail) {
        return new ServiceException(ErrorCode.INVALID_REQUEST, detail);
    }
}
