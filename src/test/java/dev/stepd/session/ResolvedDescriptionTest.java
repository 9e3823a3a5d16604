package dev.stepd.session;

import static org.assertj.core.api.Assertions.assertThat;

import dev.stepd.device.cpu.CpuDevice;
import dev.stepd.engine.Engine;
import dev.stepd.rule.Catalogue;
import dev.stepd.rule.Hyperparameter;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// What is stored of a session must describe the same session again.
class ResolvedDescriptionTest {
    static Stream<String> optimizers() {
        return Catalogue.rules().stream().map(rule -> rule.spec().name());
    }

    /// A number that groups may differ in.
    private static String ofGroups(String optimizer) {
        var spec = Catalogue.find(optimizer).spec();
        return spec.hyperparameters().stream()
                .filter(Hyperparameter.Real.class::isInstance)
                .map(Hyperparameter::name)
                .filter(name -> !spec.shared().contains(name))
                .findFirst()
                .orElseThrow();
    }

    @ParameterizedTest
    @MethodSource("optimizers")
    void isADescriptionOfTheSameSession(String optimizer) throws Exception {
        try (var engine = new Engine(new CpuDevice(1 << 20, 1))) {
            var first = SessionDescription.parse(Server.object("""
                    {"optimizer": {"name": "%s"}, "tensors": [{"name": "w", "shape": [2, 3]}, {"name": "b", "shape": []}],
                     "groups": [{"match": "b", "%s": 0.5}], "schedule": [{"name": "cosine", "total_steps": 9}],
                     "clip": {"global_norm": 1.5}, "snapshot_every": 3}""".formatted(optimizer, ofGroups(optimizer))));
            var text = Json.write(first.resolved(engine));
            var second = SessionDescription.parse(Json.read(text));
            assertThat(Json.write(second.resolved(engine))).isEqualTo(text);
            assertThat(engine.programHash(second.blueprint())).isEqualTo(engine.programHash(first.blueprint()));
        }
    }

    static Stream<String> presets() {
        return Catalogue.presets().stream().map(preset -> preset.spec().name());
    }

    @ParameterizedTest
    @MethodSource("presets")
    void aPresetIsTheSessionItStandsFor(String preset) throws Exception {
        try (var engine = new Engine(new CpuDevice(1 << 20, 1))) {
            var first = SessionDescription.parse(Server.object("""
                    {"optimizer": {"name": "%s"}, "tensors": [{"name": "w", "shape": [2, 3]}],
                     "wrap": [{"name": "cautious"}], "groups": [{"match": "b", "lr": 0.5}]}""".formatted(
                            preset.startsWith("cautious") ? "lion" : preset)));
            var text = Json.write(first.resolved(engine));
            var second = SessionDescription.parse(Json.read(text));
            assertThat(Json.write(second.resolved(engine))).isEqualTo(text);
            assertThat(engine.programHash(second.blueprint())).isEqualTo(engine.programHash(first.blueprint()));
        }
    }

    @Test
    void saysNullOfARemovedBound() throws Exception {
        try (var engine = new Engine(new CpuDevice(1 << 20, 1))) {
            var session = SessionDescription.parse(Server.object("""
                    {"optimizer": {"name": "adopt", "clip_exp": null}, "tensors": [{"name": "w", "shape": [2]}],
                     "groups": [{"match": "w", "lr": 0.5}]}"""));
            var text = Json.write(session.resolved(engine));
            assertThat(text).contains("\"clip_exp\":null");
            assertThat(Json.write(SessionDescription.parse(Json.read(text)).resolved(engine))).isEqualTo(text);
        }
    }
}
