package dev.stepd.store.jdbc;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.store.SnapshotStoreConformance;
import dev.stepd.store.StoredSnapshot;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.sql.DriverManager;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// A process that dies between two instructions leaves its complete snapshots, and nothing of the others.
class KilledProcessTest {
    /// The process: one snapshot complete, one half written, then gone without a goodbye.
    static final class Victim {
        public static void main(String[] folder) {
            var store = JdbcSnapshotStore.h2(Path.of(folder[0]));
            var session = SnapshotStoreConformance.session("s");
            var bytes = Arena.global().allocate(9 << 20, 8).fill((byte) 7);
            var whole = store.write(session, SnapshotStoreConformance.snapshot("s", "whole", 1, bytes.byteSize()));
            whole.write(bytes);
            whole.complete("sha256:d");
            var half = store.write(session, SnapshotStoreConformance.snapshot("s", "half", 2, bytes.byteSize() + 1));
            half.write(bytes.fill((byte) 8));
            Runtime.getRuntime().halt(9);
        }
    }

    @Test
    void leavesWhatWasComplete(@TempDir Path folder) throws Exception {
        var launcher = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        var process = new ProcessBuilder(List.of(launcher, "-cp", System.getProperty("java.class.path"),
                        Victim.class.getName(), folder.toString()))
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("victim.log").toFile())
                .start();
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).isEqualTo(9);

        try (var store = JdbcSnapshotStore.h2(folder); var arena = Arena.ofConfined()) {
            assertThat(store.snapshots("s")).extracting(StoredSnapshot::id).containsExactly("whole");
            var loaded = SnapshotStoreConformance.read(store, store.snapshots("s").getFirst(), arena);
            assertThat(loaded.mismatch(arena.allocate(9 << 20).fill((byte) 7))).isEqualTo(-1);
        }
        try (var connection = DriverManager.getConnection("jdbc:h2:file:" + folder.resolve("stepd"), "stepd", "");
                var rows = connection.createStatement().executeQuery("SELECT COUNT(*) FROM chunks")) {
            rows.next();
            assertThat(rows.getInt(1)).as("of 4 MiB twice the same, and of 1 MiB").isEqualTo(2);
        }
    }
}
