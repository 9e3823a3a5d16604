package dev.stepd.server;

import dev.stepd.error.Nearest;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// The command line. Every setting is a flag of `serve`; this is their one documented list.
final class Arguments {
    /// @param property the configuration key the flag sets
    /// @param value what follows the flag; empty for a flag that stands alone
    private record Flag(String name, String property, String value, String meaning) {
        static Flag of(String key, String value, String meaning) {
            return new Flag("--" + key, "stepd." + key, value, meaning);
        }
    }

    private static final List<Flag> FLAGS = List.of(
            Flag.of("port", "N", "port to listen on, 0 for any that is free (8080)"),
            Flag.of("host", "ADDRESS", "address to listen on (127.0.0.1)"),
            Flag.of("allow-remote", "", "listen beyond this machine, though nothing authenticates callers"),
            Flag.of("data", "DIR", "folder of the database (data)"),
            Flag.of("memory", "SIZE", "memory for sessions and bodies, such as 8GB (three quarters of the machine's)"),
            Flag.of("bytes-in-flight", "SIZE", "memory for bodies alone (a quarter of --memory)"),
            Flag.of("session-limit", "N", "how many sessions may exist (10000)"),
            Flag.of("header-limit", "SIZE", "longest safetensors header (8MB)"),
            Flag.of("json-limit", "SIZE", "longest JSON body (16MB)"),
            Flag.of("body-idle-timeout", "TIME", "how long a body may stand still (30s)"),
            Flag.of("drain-timeout", "TIME", "how long steps may take to finish at the end (30s)"),
            new Flag("--config", "micronaut.config.files", "FILE", "a YAML file of these settings under `stepd:`"));

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
            } else if (flag.value.isEmpty()) {
                settings.put(flag.property, "true");
            } else if (rest.hasNext()) {
                settings.put(flag.property, rest.next());
            } else {
                throw new UsageException(argument + " needs a value: " + argument + " " + flag.value);
            }
        }
        return settings;
    }

    /// The flags and what they mean, a line each.
    static String help() {
        var help = new StringBuilder("""
                usage: stepd serve [flags]        runs the server
                       stepd explain OPTIMIZER    prints what an optimizer compiles to

                """);
        for (var flag : FLAGS) {
            help.append("  %-28s %s%n".formatted((flag.name + " " + flag.value).trim(), flag.meaning));
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
