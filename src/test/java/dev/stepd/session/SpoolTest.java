package dev.stepd.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SpoolTest {
    @TempDir
    Path folder;

    @Test
    void holdsBytesThatComeInPiecesAndLeavesNoFile() throws Exception {
        var spool = new Spool(folder.resolve("spool"));
        try (var arena = Arena.ofConfined()) {
            var bytes = arena.allocate(1_000_003);
            for (long i = 0; i < bytes.byteSize(); i++) {
                bytes.set(java.lang.foreign.ValueLayout.JAVA_BYTE, i, (byte) (i * 31 >> 3));
            }
            var lease = spool.put(bytes.byteSize(), "a test", sink -> {
                sink.accept(bytes.asSlice(0, 17));
                sink.accept(bytes.asSlice(17, 0));
                sink.accept(bytes.asSlice(17));
            });
            assertThat(lease.memory().mismatch(bytes)).isEqualTo(-1);
            assertThat(folder.resolve("spool")).isEmptyDirectory();
            lease.release();
            assertThat(lease.memory().scope().isAlive()).isFalse();
        }
    }

    @Test
    void holdsNothing() throws Exception {
        var lease = new Spool(folder).put(0, "a test", sink -> {});
        assertThat(lease.memory().byteSize()).isZero();
        lease.release();
    }

    @Test
    void refusesMoreThanHalfOfWhatIsFree() {
        assertThatThrownBy(() -> new Spool(folder).put(1L << 60, "a test", sink -> {}))
                .isInstanceOf(Spool.NoRoom.class).hasMessageContaining("bytes of disk");
        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void refusesWithoutAFolderOrWithOneThatIsAFile() throws Exception {
        assertThatThrownBy(() -> new Spool(null).put(1, "a test", sink -> {})).isInstanceOf(Spool.NoRoom.class);
        var file = Files.createFile(folder.resolve("file"));
        assertThatThrownBy(() -> new Spool(file).put(1, "a test", sink -> {})).isInstanceOf(Spool.NoRoom.class);
    }

    @Test
    void givesTheDiskBackWhenTheSourceFails() {
        assertThatThrownBy(() -> new Spool(folder).put(100, "a test", sink -> {
            sink.accept(MemorySegment.ofArray(new byte[10]));
            throw new IllegalStateException("gone");
        })).hasMessage("gone");
        assertThat(folder).isEmptyDirectory();
    }
}
