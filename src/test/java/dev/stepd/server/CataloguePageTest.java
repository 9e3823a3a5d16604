package dev.stepd.server;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class CataloguePageTest {
    private static final Path PAGE = Path.of("src/site/markdown/optimizers.md");

    @Test
    void pageSaysWhatTheRulesSay() throws IOException {
        assertThat(Files.readString(PAGE))
                .as("%s differs from the rules; write it anew with: ./stepd explain --page > %s", PAGE, PAGE)
                .isEqualTo(CataloguePage.markdown());
    }

    @Test
    void pageLinksPapersAndImplementations() {
        assertThat(CataloguePage.markdown())
                .contains("[arXiv:2302.06675](https://arxiv.org/abs/2302.06675)")
                .contains("[google/automl@6a54c87](https://github.com/google/automl/tree/6a54c87)");
    }
}
