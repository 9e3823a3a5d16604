package dev.stepd.server;

import dev.stepd.session.Sessions;
import io.micronaut.context.ApplicationContext;
import io.micronaut.context.exceptions.ConfigurationException;
import io.micronaut.runtime.graceful.GracefulShutdownManager;
import io.micronaut.runtime.server.EmbeddedServer;
import java.io.PrintStream;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// A running server: started with its sessions recovered, ended with them kept.
final class Server implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(Server.class);

    private final ApplicationContext context;
    private final EmbeddedServer http;

    private Server(ApplicationContext context, EmbeddedServer http) {
        this.context = context;
        this.http = http;
    }

    /// @param settings what the command line says; it wins over variables and files
    /// @throws UsageException when the settings do not allow a start
    static Server start(Map<String, Object> settings) {
        var context = ApplicationContext.builder()
                .mainClass(Stepd.class)
                .banner(false)
                .deduceEnvironment(false)
                .properties(settings)
                .build();
        try {
            context.start();
            Arguments.check(context);
            context.getBean(MachineDevices.class); // looks for GPUs while the rest is made
            var http = context.getBean(EmbeddedServer.class); // wrong settings show before sessions are read
            context.getBean(Sessions.class).recover();
            return new Server(context, http.start());
        } catch (RuntimeException failure) {
            context.close();
            throw usage(failure);
        }
    }

    String address() {
        var host = http.getHost().contains(":") ? "[" + http.getHost() + "]" : http.getHost();
        return "http://" + host + ":" + http.getPort();
    }

    <T> T bean(Class<T> type) {
        return context.getBean(type);
    }

    Server announce(PrintStream out) {
        out.println("stepd listening on " + address());
        out.flush();
        return this;
    }

    /// SIGTERM and SIGINT end the program as asked, so with 0; the runtime's own answer would be 143 and 130.
    Server endOnSignal() {
        Runtime.getRuntime().addShutdownHook(new Thread(this::close, "stepd-end"));
        for (var name : new String[] {"TERM", "INT"}) {
            sun.misc.Signal.handle(new sun.misc.Signal(name), signal -> System.exit(0));
        }
        return this;
    }

    /// Takes no more requests, answers those it has, keeps every session, frees everything.
    @Override
    public void close() {
        var limit = context.getBean(ServerSettings.class).drainTimeout();
        try {
            context.getBean(GracefulShutdownManager.class).shutdownGracefully()
                    .toCompletableFuture().get(limit.toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            LOG.warn("requests still running after {} ms are given up", limit.toMillis());
        } catch (ExecutionException e) {
            LOG.warn("the listener did not end cleanly", e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        context.close();
    }

    /// The reason a user can do something about, if that is what kept the server from starting.
    private static RuntimeException usage(RuntimeException failure) {
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            if (cause instanceof UsageException usage) {
                return usage;
            }
            if (cause instanceof java.net.BindException) {
                return new UsageException("cannot listen: " + cause.getMessage());
            }
            if (cause instanceof ConfigurationException) {
                return new UsageException(cause.getMessage().lines().findFirst().orElse("the settings are wrong"));
            }
        }
        return failure;
    }
}
