package dev.stepd.server;

import dev.stepd.error.Nearest;
import io.micronaut.core.value.PropertyResolver;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// The command line. Every setting is a flag of `serve`; this is their one documented list.
final class Arguments {
    /// What stands after a flag.
    private enum Value {
        SWITCH("", "(?i)true|false", "true or false"),
        N("N", "\\d{1,9}", "a whole number"),
        CUDA("auto|off", "(?i)auto|off|false", "auto or off"), // YAML reads a bare off as false
        SIZE("SIZE", "(?i)\\d{1,18}|\\d{1,9}[kmg]b", "bytes, such as 1048576, 512MB or 8GB"),
        TIME("TIME", "\\d{1,9}(ms|s|m|h|d)", "a time, such as 500ms, 30s or 2m"),
        ADDRESS("ADDRESS", ".+", "an address"),
        /// Not shown when it is wrong: there may be a password in it.
        DATABASE("URL", "jdbc:postgresql:(?!.*(?i:password=))(?!//[^/?]*@).+", "jdbc:postgresql://host/name, without user or password"),
        USER("NAME", ".+", "a name"),
        SECRET("SECRET", "(?s).*", "a password"),
        DIR("DIR", ".+", "a folder"),
        FILE("FILE", ".+", "a file");

        private final String placeholder;
        private final String pattern;
        private final String expected;

        Value(String placeholder, String pattern, String expected) {
            this.placeholder = placeholder;
            this.pattern = pattern;
            this.expected = expected;
        }
    }

    /// @param property the configuration key the flag sets
    private record Flag(String name, String property, Value value, String meaning) {
        static Flag of(String key, Value value, String meaning) {
            return new Flag("--" + key, "stepd." + key, value, meaning);
        }

        String usage() {
            return (name + " " + value.placeholder).trim();
        }
    }

    private static final List<Flag> FLAGS = List.of(
            Flag.of("port", Value.N, "port to listen on, 0 for any that is free (8080)"),
            Flag.of("host", Value.ADDRESS, "address to listen on (127.0.0.1)"),
            Flag.of("allow-remote", Value.SWITCH, "listen beyond this machine, though nothing authenticates callers"),
            Flag.of("data", Value.DIR, "folder of the database (data)"),
            Flag.of("db", Value.DATABASE, "PostgreSQL database in place of that folder's; servers may share it"),
            Flag.of("db-user", Value.USER, "who may write there"),
            Flag.of("db-password", Value.SECRET, "the password; the variable STEPD_DB_PASSWORD is not seen by others"),
            Flag.of("db-lease", Value.TIME, "silence after which another server takes this one's sessions (30s)"),
            Flag.of("memory", Value.SIZE, "memory for sessions and bodies (three quarters of the machine's)"),
            Flag.of("idle-after", Value.TIME, "how long a session keeps its memory unused when others need it (10s)"),
            Flag.of("bytes-in-flight", Value.SIZE, "memory for bodies alone (a quarter of --memory)"),
            Flag.of("threads", Value.N, "threads that work on one step at most (the machine's cores)"),
            Flag.of("cuda", Value.CUDA, "whether GPUs are used where there are some (auto)"),
            Flag.of("cuda-memory", Value.SIZE, "memory of each GPU for sessions (90 % of it)"),
            Flag.of("pinned-memory", Value.SIZE, "main memory for bodies of all GPUs (a quarter of the machine's)"),
            Flag.of("cuda-cache", Value.DIR, "folder of compiled kernels (cuda-cache in --data)"),
            Flag.of("journal-segment", Value.SIZE, "where a session's journal begins another file (64MB)"),
            Flag.of("session-limit", Value.N, "how many sessions may exist (10000)"),
            Flag.of("event-stream-limit", Value.N, "how many streams of events may be read (1000)"),
            Flag.of("header-limit", Value.SIZE, "longest safetensors header (8MB)"),
            Flag.of("json-limit", Value.SIZE, "longest JSON body (16MB)"),
            Flag.of("event-keep-alive", Value.TIME, "after how long without an event a stream says so (15s)"),
            Flag.of("body-idle-timeout", Value.TIME, "how long a body may stand still (30s)"),
            Flag.of("drain-timeout", Value.TIME, "how long steps may take to finish at the end (30s)"),
            Flag.of("store-timeout", Value.TIME, "how long storing sessions may take after that (60s)"),
            new Flag("--config", "micronaut.config.files", Value.FILE, "a YAML file of these settings under `stepd:`"));

    private Arguments() {}

    /// The settings that the flags of `serve` name.
    ///
    /// @throws UsageException on a flag that does not exist or lacks its value
    static Map<String, Object> settings(List<String> arguments) {
        var settings = new LinkedHashMap<String, Object>();
        for (var rest = arguments.iterator(); rest.hasNext();) {
            var argument = rest.next();
            int equals = argument.indexOf('=');
            var flag = flag(equals < 0 ? argument : argument.substring(0, equals));
            if (equals >= 0) {
                settings.put(flag.property, argument.substring(equals + 1));
            } else if (flag.value == Value.SWITCH) {
                settings.put(flag.property, "true");
            } else if (rest.hasNext()) {
                settings.put(flag.property, rest.next());
            } else {
                throw new UsageException(argument + " needs a value: " + flag.usage());
            }
        }
        return settings;
    }

    /// Sees that every setting, wherever it comes from, reads as what it should be. The framework would take the
    /// default in place of a value it cannot read.
    ///
    /// @throws UsageException naming key, value and what was expected
    static void check(PropertyResolver configuration) {
        for (var flag : FLAGS) {
            configuration.getProperty(flag.property, String.class).filter(text -> !text.matches(flag.value.pattern)).ifPresent(text -> {
                var shown = flag.value == Value.DATABASE ? " is not as it should be" : " is \"" + text + "\"";
                throw new UsageException(flag.property + shown + ", expected " + flag.value.expected);
            });
        }
    }

    /// The flags and what they mean, a line each.
    static String help() {
        var help = new StringBuilder("""
                usage: stepd serve [flags]        runs the server
                       stepd demo                 trains a classifier of digits through a server of its own
                       stepd explain OPTIMIZER    prints an optimizer's equations and what they compile to

                """);
        for (var flag : FLAGS) {
            help.append("  %-26s %s%n".formatted(flag.usage(), flag.meaning));
        }
        return help.append("""

                Each flag but --config is a variable too (STEPD_BODY_IDLE_TIMEOUT) and a key of application.yml
                (stepd.body-idle-timeout). Flags win over variables, variables over files.
                """).toString();
    }

    private static Flag flag(String name) {
        return FLAGS.stream().filter(flag -> flag.name.equals(name)).findFirst().orElseThrow(() -> new UsageException(
                "unknown flag " + name + Nearest.hint(name, FLAGS.stream().map(Flag::name).toList()) + "; see stepd help"));
    }
}
