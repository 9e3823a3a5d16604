package dev.stepd.http;

import io.micronaut.context.annotation.ConfigurationProperties;
import io.micronaut.core.bind.annotation.Bindable;
import io.micronaut.core.convert.format.ReadableBytes;
import java.time.Duration;

/// What the HTTP interface lets a client do.
///
/// @param jsonLimit bytes of the longest JSON body, 1 GB at most; tensors beyond it travel as safetensors
/// @param bodyIdleTimeout how long a body may stand still before its request is given up
/// @param eventKeepAlive after so long without an event a stream of them carries a comment
@ConfigurationProperties("stepd")
record HttpSettings(
        @Bindable(defaultValue = "16MB") @ReadableBytes long jsonLimit,
        @Bindable(defaultValue = "30s") Duration bodyIdleTimeout,
        @Bindable(defaultValue = "15s") Duration eventKeepAlive) {
    HttpSettings {
        jsonLimit = Math.min(jsonLimit, 1L << 30); // gathered in one buffer, which counts in ints
    }
}
