package dev.stepd.faults;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.stepd.faults.Trainer.Promise;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/// What is in the data folder is not what was written there, or cannot be written: that is told, and nothing starts cold.
@Execution(ExecutionMode.CONCURRENT)
class DamagedFilesTest {
    private static final Path KEPT = Path.of("src/test/resources/kept/v1");
    private static final int START_MILLIS_MAX = 1500;
    private static final long PATIENCE_SECONDS = 120;

    @TempDir
    Path folder;

    /// The first start on a folder of the first version, killed again and again.
    @Test
    void aMigrationThatIsKilledIsTakenUpAgain() throws Exception {
        var random = Faults.random("migrations");
        var expected = new ObjectMapper().readTree(KEPT.resolve("expected.json").toFile());
        for (int round = 0; round < Faults.kills(1); round++) {
            var data = Files.createDirectories(folder.resolve("data" + round));
            Files.copy(KEPT.resolve("stepd.mv.db"), data.resolve("stepd.mv.db"));
            try (var victim = new Victim(folder, "--data", data.toString())) {
                while (victim.kills() < 5) {
                    victim.startAndKill(random.nextInt(START_MILLIS_MAX));
                }
                victim.start();
                for (var session : expected.get("sessions")) {
                    var digest = get(victim, "/v1/sessions/" + session.get("id").asText() + "/digest");
                    assertThat(digest.get("digest")).isEqualTo(session.get("digest"));
                }
            }
        }
    }

    /// Wherever a bit of a journal flips: the session is at a step it was at, to the bit, or says what it cannot read.
    @Test
    void aFlippedBitInAJournalIsToldAndNeverTaken() throws Exception {
        var random = Faults.random("flips");
        try (var victim = new Victim(folder, "--journal-segment", "1KB")) {
            victim.start();
            var trainer = new Trainer(victim, Promise.EVERY_STEP, "adamw", 100, random.nextLong());
            for (int round = 0; round < Faults.kills(2); round++) {
                trainer.trainFor(20);
                victim.kill();
                long answered = trainer.acknowledged();
                flip(newest(folder.resolve("data/journal").resolve(trainer.id())), random);
                victim.start();
                var status = get(victim, trainer.session());
                long here = status.get("step").asLong();
                boolean told = status.get("status").asText().equals("ready; journal damaged after step " + here);
                // the last record may have been half written, for all that can be known
                assertThat(told || here >= answered - 1).as("%d of %d: %s", here, answered, status.get("status")).isTrue();
                assertThat(here).isLessThanOrEqualTo(answered + 1);
                trainer.rewindTo(here);
                trainer.assertLikeUndisturbed(victim.address(), here);
            }
        }
    }

    /// Whichever chunk of the newest snapshot has a flipped bit: the session refuses to start from it, says which one it can be restored
    /// from, and goes on from there.
    @Test
    void aFlippedBitInAChunkIsToldAndAnOlderSnapshotRestored() throws Exception {
        var random = Faults.random("chunks");
        try (var victim = new Victim(folder)) {
            victim.start();
            var trainer = new Trainer(victim, Promise.DURABLE_STEP, "adamw", 70_000, random.nextLong());
            // from the second on, the same steps bring the content of the damaged chunk again
            for (int round = 0; round <= Faults.kills(1); round++) {
                trainer.trainFor(3);
                var sound = snapshot(victim, trainer);
                trainer.trainFor(3);
                var newest = snapshot(victim, trainer);
                assertThat(victim.end()).isZero();
                flipChunk(newest.get("id").asText(), random);
                victim.start();
                var standing = get(victim, trainer.session()).get("status").asText();
                assertThat(standing).startsWith("failed: ").contains(newest.get("id").asText(), "is damaged: chunk", sound.get("id").asText());
                var restored = Calls.json(Calls.send("POST", victim.address() + trainer.session() + "/restore", "application/json",
                        ("{\"snapshot\": " + sound.get("id") + "}").getBytes(StandardCharsets.UTF_8), -1));
                assertThat(restored.get("digest")).isEqualTo(sound.get("digest"));
                trainer.rewindTo(sound.get("step").asLong());
                trainer.assertLikeUndisturbed(victim.address(), sound.get("step").asLong());
            }
        }
    }

    private static JsonNode snapshot(Victim victim, Trainer trainer) throws Exception {
        return Calls.json(Calls.send("POST", victim.address() + trainer.session() + "/snapshots", "", new byte[0], -1));
    }

    private void flipChunk(String snapshot, Random random) throws SQLException {
        try (var connection = DriverManager.getConnection("jdbc:h2:file:" + folder.resolve("data/stepd"), "stepd", "");
                var statement = connection.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE);
                var chunks = statement.executeQuery("SELECT hash, data FROM chunks WHERE hash IN (SELECT hash FROM chunk_uses"
                        + " GROUP BY hash HAVING COUNT(*) = 1 AND MAX(snapshot_id) = '" + snapshot + "')")) {
            chunks.last();
            chunks.absolute(1 + random.nextInt(chunks.getRow()));
            var data = chunks.getBytes(2);
            data[random.nextInt(data.length)] ^= (byte) (1 << random.nextInt(8));
            chunks.updateBytes(2, data);
            chunks.updateRow();
        }
    }

    /// A disk that is full takes no step, loses none, and takes them again when there is room.
    @Test
    void aFullDiskRefusesStepsUntilThereIsRoom() throws Exception {
        var random = Faults.random("full disks");
        var place = Files.createDirectory(folder.resolve("small"));
        boolean mounted = run("mount", "-t", "tmpfs", "-o", "size=24m", "none", place.toString());
        if (!mounted) {
            System.out.println("DamagedFilesTest leaves out full disks: this user cannot mount a small file system");
        }
        Assumptions.assumeTrue(mounted, "no right to mount a small file system");
        try (var victim = new Victim(folder, "--data", place.resolve("data").toString(), "--journal-segment", "1MB")) {
            victim.start();
            var trainer = new Trainer(victim, Promise.EVERY_STEP, "adamw", 20_000, random.nextLong());
            try (var threads = Executors.newSingleThreadExecutor()) {
                var running = threads.submit(trainer);
                var filler = place.resolve("filler");
                for (int round = 0; round < Faults.kills(1); round++) {
                    fill(filler);
                    awaitMore(victim, trainer::refused, 3);
                    if (random.nextBoolean()) {
                        victim.kill();
                        Files.delete(filler);
                        victim.start();
                    } else {
                        Files.delete(filler);
                    }
                    awaitMore(victim, trainer::taken, 10);
                }
                victim.finish();
                long steps = running.get(PATIENCE_SECONDS, TimeUnit.SECONDS);
                trainer.assertLikeUndisturbed(victim.lastAddress(), steps);
            } finally {
                victim.finish();
            }
        } finally {
            assertThat(run("umount", place.toString())).isTrue();
        }
    }

    private interface Count {
        long now();
    }

    private static void awaitMore(Victim victim, Count count, long more) throws InterruptedException {
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
        long enough = count.now() + more;
        while (count.now() < enough) {
            assertThat(System.nanoTime()).as("%d come to %d", count.now(), enough).isLessThan(until);
            victim.pause();
        }
    }

    /// Leaves no room.
    private static void fill(Path file) throws IOException {
        try (var out = Files.newOutputStream(file)) {
            var some = new byte[1 << 16];
            while (true) {
                out.write(some);
            }
        } catch (IOException full) {
            assertThat(file).isNotEmptyFile();
        }
    }

    private static boolean run(String... command) throws InterruptedException {
        try {
            var process = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(ProcessBuilder.Redirect.DISCARD).start();
            return process.waitFor(10, TimeUnit.SECONDS) && process.exitValue() == 0;
        } catch (IOException absent) {
            return false;
        }
    }

    private static Path newest(Path journal) throws IOException {
        try (var files = Files.list(journal)) {
            return files.filter(file -> file.toString().endsWith(".journal")).max(Path::compareTo).orElseThrow();
        }
    }

    private static void flip(Path file, Random random) throws IOException {
        try (var channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            long at = random.nextLong(channel.size());
            var one = ByteBuffer.allocate(1);
            channel.read(one, at);
            one.put(0, (byte) (one.get(0) ^ 1 << random.nextInt(8)));
            channel.write(one.flip(), at);
        }
    }

    private static JsonNode get(Victim victim, String target) throws Exception {
        return Calls.json(Calls.send("GET", victim.address() + target, "", new byte[0], -1));
    }
}
