package dev.stepd.containers;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.yaml.snakeyaml.Yaml;

/// `docker/Dockerfile`, read as far as tests need it: an instruction a line, its continuations joined.
record Dockerfile(List<Instruction> instructions) {
    record Instruction(String name, String text) {
        List<String> words() {
            return Arrays.asList(text.split("\\s+"));
        }

        /// Its words less its flags.
        List<String> operands() {
            return words().stream().filter(word -> !word.startsWith("--")).toList();
        }
    }

    static Dockerfile read() throws IOException {
        var text = Files.readString(Path.of("docker/Dockerfile")).replaceAll("(?m)^#.*\n", "").replaceAll("\\\\\n\\s*", " ");
        return new Dockerfile(text.lines().filter(line -> !line.isBlank())
                .map(line -> line.split("\\s+", 2)).map(parts -> new Instruction(parts[0], parts[1].strip())).toList());
    }

    List<Instruction> all(String name) {
        return instructions.stream().filter(instruction -> instruction.name().equals(name)).toList();
    }

    /// The text of the only instruction of this name.
    String only(String name) {
        var all = all(name);
        if (all.size() != 1) {
            throw new IllegalStateException(name + " is there " + all.size() + " times");
        }
        return all.getFirst().text();
    }

    Map<String, String> environment() {
        var variables = new LinkedHashMap<String, String>();
        all("ENV").stream().flatMap(env -> env.words().stream()).map(word -> word.split("=", 2))
                .forEach(pair -> variables.put(pair[0], pair[1]));
        return variables;
    }

    List<String> entryPoint() {
        return new Yaml().load(only("ENTRYPOINT"));
    }
}
