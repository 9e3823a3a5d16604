package dev.stepd.server;

import io.micronaut.context.event.BeanCreatedEvent;
import io.micronaut.context.event.BeanCreatedEventListener;
import io.micronaut.http.server.HttpServerConfiguration;
import jakarta.inject.Singleton;
import java.net.InetAddress;
import java.net.UnknownHostException;

/// Tells the HTTP server where to listen, so that host and port have one name and one default.
@Singleton
final class Listening implements BeanCreatedEventListener<HttpServerConfiguration> {
    private static final int PORT_MAX = 65_535;

    private final ServerSettings settings;

    Listening(ServerSettings settings) {
        this.settings = settings;
    }

    @Override
    public HttpServerConfiguration onCreated(BeanCreatedEvent<HttpServerConfiguration> event) {
        var server = event.getBean();
        server.setHost(checkedHost());
        if (settings.port() > PORT_MAX) {
            throw new UsageException("stepd.port is " + settings.port() + ", expected at most " + PORT_MAX);
        }
        server.setPort(settings.port() == 0 ? -1 : settings.port());
        return server;
    }

    private String checkedHost() {
        var host = settings.host();
        try {
            if (settings.allowRemote() || InetAddress.getByName(host).isLoopbackAddress()) {
                return host;
            }
        } catch (UnknownHostException e) {
            throw new UsageException("--host " + host + " is no address of this machine");
        }
        throw new UsageException("--host " + host + " can be reached from other machines and nothing authenticates callers;"
                + " add --allow-remote if that is meant");
    }
}
