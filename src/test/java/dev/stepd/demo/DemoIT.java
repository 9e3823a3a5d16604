package dev.stepd.demo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import org.junit.jupiter.api.Test;

/// The demo's promise: a server that is killed changes no final number.
class DemoIT {
    private static final String MAIN_CLASS = "dev.stepd.server.Stepd";
    private static final Course COURSE = new Course(Digits.load(7), 4, 7);

    private final ByteArrayOutputStream said = new ByteArrayOutputStream();

    @Test
    void endsWithTheSameBitsThoughTheServerWasKilled() throws Exception {
        ServerProcess left;
        try (var server = ServerProcess.start(MAIN_CLASS)) {
            left = server;
            var undisturbed = training(server).run();
            assertThat(said.toString(StandardCharsets.UTF_8)).doesNotContain("killed");
            var killed = training(server).runThroughCrash();
            assertThat(said.toString(StandardCharsets.UTF_8))
                    .contains("server killed", "server back at " + server.address());

            assertThat(killed).extracting(Trained::optimizer).containsExactly("sgd", "adamw", "lion");
            for (int i = 0; i < killed.size(); i++) {
                assertSameNumbers(undisturbed.get(i), killed.get(i));
            }
            assertThat(killed).anySatisfy(trained -> assertThat(trained.repeatedSteps()).isPositive());
        }
        assertThat(left.isAlive()).isFalse();
        assertThat(Files.exists(left.data().getParent())).isFalse();
    }

    private void assertSameNumbers(Trained undisturbed, Trained killed) {
        assertThat(undisturbed.restoredStep()).isEmpty();
        assertThat(killed.restoredStep()).as(killed.optimizer()).isPresent();
        assertThat(killed.digest()).as(killed.optimizer()).isEqualTo(undisturbed.digest()).startsWith("sha256:");
        assertThat(killed.parameters()).isEqualTo(undisturbed.parameters()).hasSize(Network.PARAMETERS);
        assertThat(killed.losses()).isEqualTo(undisturbed.losses());
        assertThat(killed.accuracy()).isEqualTo(undisturbed.accuracy()).isGreaterThan(0.8);
    }

    private Training training(ServerProcess server) {
        var out = new PrintStream(said, true, StandardCharsets.UTF_8);
        return new Training(server, COURSE, Contestant.ALL, Progress.ofLines(out));
    }

    @Test
    void tellsWhyAServerDoesNotStart() {
        assertThat(catchThrowable(() -> ServerProcess.start("dev.stepd.NoSuchProgram")))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("the server did not start")
                .hasMessageContaining("NoSuchProgram");
    }
}
