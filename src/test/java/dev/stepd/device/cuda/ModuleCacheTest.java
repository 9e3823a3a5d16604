package dev.stepd.device.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ModuleCacheTest {
    private static final String KEY = "0123456789abcdef0123456789abcdef";
    private static final byte[] IMAGE = image(1, 10_000);

    @TempDir
    private Path folder;

    private static byte[] image(int seed, int bytes) {
        var image = new byte[bytes];
        new Random(seed).nextBytes(image);
        return image;
    }

    private ModuleCache cache() {
        return new ModuleCache(folder.resolve("cuda-cache"), 50_000);
    }

    private Path entry() {
        return folder.resolve("cuda-cache").resolve(KEY + ".module");
    }

    private List<String> names() throws IOException {
        try (var files = Files.list(folder.resolve("cuda-cache"))) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    @Test
    void givesBackWhatAnotherStored() throws IOException {
        assertThat(cache().find(KEY)).isEmpty();
        cache().store(KEY, IMAGE);
        assertThat(cache().find(KEY)).hasValue(IMAGE);
        assertThat(cache().find(KEY.replace('0', '1'))).isEmpty();
        assertThat(names()).containsExactly(KEY + ".module");
    }

    @Test
    void dropsDamagedEntries() throws IOException {
        cache().store(KEY, IMAGE);
        var whole = Files.readAllBytes(entry());
        for (int place : new int[] {0, 20, 48, whole.length - 1}) {
            var damaged = whole.clone();
            damaged[place] ^= 4;
            Files.write(entry(), damaged);
            assertThat(cache().find(KEY)).as("byte %d", place).isEmpty();
            assertThat(entry()).doesNotExist();
        }
        for (int length : new int[] {0, 10, 48, whole.length - 1}) {
            Files.write(entry(), java.util.Arrays.copyOf(whole, length));
            assertThat(cache().find(KEY)).as("%d bytes", length).isEmpty();
        }
        cache().store(KEY, IMAGE);
        assertThat(cache().find(KEY)).hasValue(IMAGE);
    }

    @Test
    void dropsWhatWasNotUsedForLongest() throws IOException {
        var cache = cache();
        for (int i = 0; i < 5; i++) { // 10 kB each: four fit
            cache.store("entry" + i, image(i, 10_000));
            var age = FileTime.from(Instant.now().minus(Duration.ofMinutes(100 - i)));
            Files.setLastModifiedTime(folder.resolve("cuda-cache/entry" + i + ".module"), age);
            if (i == 3) {
                assertThat(cache.find("entry0")).isPresent(); // now the youngest
            }
        }
        assertThat(names()).containsExactly("entry0.module", "entry2.module", "entry3.module", "entry4.module");
    }

    @Test
    void keepsNothingThatIsLargerThanAll() throws IOException {
        cache().store("small", image(1, 100));
        cache().store("large", image(1, 50_000));
        assertThat(names()).containsExactly("small.module");
    }

    @Test
    void clearsWhatADeadProcessLeftAndNothingElse() throws IOException {
        Files.createDirectories(folder.resolve("cuda-cache"));
        var dead = Files.write(folder.resolve("cuda-cache/dead.part"), IMAGE);
        Files.setLastModifiedTime(dead, FileTime.from(Instant.now().minus(Duration.ofHours(2))));
        Files.write(folder.resolve("cuda-cache/busy.part"), image(2, 60_000));
        Files.writeString(folder.resolve("cuda-cache/readme"), "a file of somebody");
        cache().store(KEY, image(2, 100));
        assertThat(names()).contains("busy.part", "readme").doesNotContain("dead.part");
    }

    @Test
    void aFolderThatCannotBeWrittenCostsNothingElse() throws IOException {
        var cache = new ModuleCache(Files.writeString(folder.resolve("file"), "in the way").resolve("cuda-cache"), 50_000);
        cache.store(KEY, IMAGE);
        cache.store(KEY, IMAGE);
        assertThat(cache.find(KEY)).isEmpty();
    }

    /// Several caches on one folder stand for several processes.
    @Test
    void manyAtOnceSeeWholeEntriesOrNone() throws IOException, InterruptedException, ExecutionException {
        var images = IntStream.range(0, 8).mapToObj(i -> image(i, 1000 + i)).toList();
        try (var threads = Executors.newFixedThreadPool(4)) {
            List<Future<?>> all = IntStream.range(0, 4).<Future<?>>mapToObj(worker -> threads.submit(() -> {
                var cache = new ModuleCache(folder.resolve("cuda-cache"), 5_000);
                var random = new Random(worker);
                for (int i = 0; i < 200; i++) {
                    int which = random.nextInt(images.size());
                    if (random.nextBoolean()) {
                        cache.store("entry" + which, images.get(which));
                    } else {
                        cache.find("entry" + which).ifPresent(found -> assertThat(found).isEqualTo(images.get(which)));
                    }
                }
            })).toList();
            for (var one : all) {
                one.get();
            }
        }
        assertThat(names()).isNotEmpty().allMatch(name -> name.endsWith(".module"));
    }
}
