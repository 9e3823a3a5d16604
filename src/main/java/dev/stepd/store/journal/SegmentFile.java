package dev.stepd.store.journal;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/// A segment by its name: `<first step>-<line>.journal`, and `<that>.damaged-after-<step>` once it was put aside.
record SegmentFile(Path path, long firstStep, String line) {
    private static final Pattern NAME = Pattern.compile("([0-9]{16})-([0-9a-z-]+)\\.journal");
    private static final Pattern ASIDE = Pattern.compile(".*\\.journal\\.damaged-after-([0-9]{1,18})");

    static Path path(Path folder, String line, long firstStep) {
        return folder.resolve("%016d-%s.journal".formatted(firstStep, line));
    }

    /// Those of a folder in the order of their steps, put aside ones not counted.
    static List<SegmentFile> in(Path folder) throws IOException {
        return names(folder).stream()
                .flatMap(path -> Optional.of(NAME.matcher(path.getFileName().toString())).filter(name -> name.matches()).stream()
                        .map(name -> new SegmentFile(path, Long.parseLong(name.group(1)), name.group(2))))
                .sorted(Comparator.comparing(SegmentFile::firstStep).thenComparing(SegmentFile::path))
                .toList();
    }

    /// After which step the newest damage was, of files put aside.
    static Optional<Long> damagedAfter(Path folder) throws IOException {
        return names(folder).stream()
                .flatMap(path -> Optional.of(ASIDE.matcher(path.getFileName().toString())).filter(name -> name.matches()).stream()
                        .map(name -> Long.parseLong(name.group(1))))
                .max(Comparator.naturalOrder());
    }

    void putAside(long goodStep) throws IOException {
        Files.move(path, path.resolveSibling(path.getFileName() + ".damaged-after-" + goodStep));
    }

    private static List<Path> names(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (var files = Files.list(folder)) {
            return files.toList();
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }
}
