package dev.stepd.server;

import dev.stepd.session.Sessions;
import io.micronaut.context.ApplicationContext;
import io.micronaut.context.exceptions.ConfigurationException;
import io.micronaut.runtime.graceful.GracefulShutdownManager;
import io.micronaut.runtime.server.EmbeddedServer;
import java.io.PrintStream;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/// A running server: started with its sessions recovered, ended with them kept.
final class Server implements AutoCloseable {
    private static final int FAILED = 1;
    /// Added to the signal's number: how a shell tells what ended a program.
    private static final int SIGNALLED = 128;
    /// For sending what is ready when steps took all the time there was.
    private static final Duration ANSWERING = Duration.ofSeconds(1);
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

    /// SIGTERM and SIGINT end the program as asked, so with 0; the runtime's own answer would be 143 and 130. A second one does not wait:
    /// what was not stored by then goes on at its durable step, as after a kill.
    Server endOnSignal() {
        Runtime.getRuntime().addShutdownHook(new Thread(this::closeInTime, "stepd-end"));
        var asked = new AtomicBoolean();
        for (var name : new String[] {"TERM", "INT"}) {
            sun.misc.Signal.handle(new sun.misc.Signal(name), signal -> {
                if (asked.compareAndSet(false, true)) {
                    System.exit(0);
                } else {
                    Runtime.getRuntime().halt(SIGNALLED + signal.getNumber());
                }
            });
        }
        return this;
    }

    /// A database that does not answer must not keep the program from ending.
    private void closeInTime() {
        var settings = context.getBean(ServerSettings.class);
        var limit = settings.drainTimeout().plus(settings.storeTimeout());
        var watch = Thread.ofPlatform().daemon().name("stepd-deadline").start(() -> haltAfter(limit));
        close();
        watch.interrupt();
    }

    private static void haltAfter(Duration limit) {
        try {
            Thread.sleep(limit);
            LOG.error("not every session could be stored within {}; those go on at their durable step", limit);
            Runtime.getRuntime().halt(FAILED);
        } catch (InterruptedException closed) {
            LOG.debug("ended in time");
        }
    }

    /// Takes no more requests, answers those it has, keeps every session, frees everything.
    @Override
    public void close() {
        var limit = context.getBean(ServerSettings.class).drainTimeout();
        long end = System.nanoTime() + limit.toNanos();
        var sessions = context.getBean(Sessions.class);
        sessions.drain(); // and still answers, that it does
        try {
            if (!sessions.awaitDrained(limit)) {
                LOG.warn("bodies still coming after {} ms are given up", limit.toMillis());
            }
            sessions.endEvents();
            context.getBean(GracefulShutdownManager.class).shutdownGracefully()
                    .toCompletableFuture().get(Math.max(ANSWERING.toNanos(), end - System.nanoTime()), TimeUnit.NANOSECONDS);
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
