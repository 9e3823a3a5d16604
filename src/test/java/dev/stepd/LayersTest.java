package dev.stepd;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.constantpool.ClassEntry;
import java.lang.classfile.constantpool.Utf8Entry;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/// Who may use whom, read off the compiled classes. The table is the architecture: change it with a reason.
class LayersTest {
    private static final Path CLASSES = Path.of("target/classes");
    private static final Pattern PACKAGE = Pattern.compile("dev/stepd/((?:[a-z]+/)+)");

    /// By package, the packages it may use besides its own subpackages. Packages that are not named share their parent's row.
    private static final Map<String, Set<String>> MAY_USE = Map.ofEntries(
            Map.entry("error", Set.of()),
            Map.entry("tensor", Set.of("error")),
            Map.entry("expr", Set.of("tensor", "error")),
            Map.entry("codegen", Set.of("expr", "tensor", "error")),
            Map.entry("rule", Set.of("expr", "tensor", "error")),
            Map.entry("device", Set.of("codegen", "expr", "tensor", "error")),
            Map.entry("engine", Set.of("device", "rule", "expr", "tensor", "error")),
            Map.entry("store", Set.of("tensor", "error")),
            // the device's memory, which bodies come from as state does
            Map.entry("session", Set.of("engine", "store", "rule", "device", "tensor", "error")),
            Map.entry("http", Set.of("session", "tensor", "error")),
            Map.entry("demo", Set.of("tensor", "error")),
            Map.entry("server", Set.of("http", "session", "engine", "device", "store", "rule", "codegen", "expr", "tensor",
                    "error", "demo")));

    @Test
    void packagesUseOnlyWhatTheyMay() throws IOException {
        var used = new TreeMap<String, Set<String>>();
        eachClass((owner, text) -> packages(text).map(LayersTest::top).filter(other -> !other.equals(top(owner)))
                .forEach(other -> used.computeIfAbsent(top(owner), _ -> new TreeSet<>()).add(other)));
        assertThat(used).as("classes were found").containsKey("server");
        used.forEach((owner, others) ->
                assertThat(MAY_USE.get(owner)).as("what %s uses", owner).isNotNull().containsAll(others));
    }

    @Test
    void technologiesAreNamedByTheirOwnPackageAndTheServerOnly() throws IOException {
        eachClass((owner, text) -> {
            for (var technology : Set.of("device/cpu", "device/cuda", "store/jdbc")) {
                if (text.contains("dev/stepd/" + technology)) {
                    assertThat(owner).as("names %s", technology).matches(technology + "|server");
                }
            }
            if (text.contains("jdk/incubator/vector")) {
                assertThat(owner).as("names the vector module").matches("codegen/cpu|device/cpu");
            }
            if (text.contains("jcuda/")) {
                assertThat(owner).as("names JCuda").isEqualTo("device/cuda");
            }
        });
    }

    /// Told each class's package, such as `device/cpu`, and each text of its constant pool that can name classes.
    private interface Visitor {
        void visit(String owner, String text);
    }

    private static void eachClass(Visitor visitor) throws IOException {
        try (Stream<Path> files = Files.walk(CLASSES.resolve("dev/stepd"))) {
            for (var file : files.filter(path -> path.toString().endsWith(".class")).toList()) {
                var owner = CLASSES.resolve("dev/stepd").relativize(file.getParent()).toString().replace('\\', '/');
                for (var entry : ClassFile.of().parse(file).constantPool()) {
                    switch (entry) {
                        case ClassEntry type -> visitor.visit(owner, type.asInternalName());
                        case Utf8Entry text when isDescriptor(text.stringValue()) -> visitor.visit(owner, text.stringValue());
                        default -> {} // numbers, and names that stand in the entries above
                    }
                }
            }
        }
    }

    private static boolean isDescriptor(String text) {
        return text.startsWith("(") || text.startsWith("L") && text.endsWith(";");
    }

    private static Stream<String> packages(String text) {
        return PACKAGE.matcher(text).results().map(found -> found.group(1));
    }

    private static String top(String path) {
        int slash = path.indexOf('/');
        return slash < 0 ? path : path.substring(0, slash);
    }
}
