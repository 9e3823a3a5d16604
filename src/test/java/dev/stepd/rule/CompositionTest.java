package dev.stepd.rule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class CompositionTest {
    private static final Map<String, Object> SGD = Map.of("name", "sgd", "momentum", 0.9);

    private static Settings wrapped(Map<String, Object> optimizer, List<Map<String, Object>> wrap) {
        return Settings.read(new Composition(optimizer, wrap, null, null, null), List.of(), null);
    }

    private static void refuses(ErrorCode code, String message, Map<String, Object> optimizer, Map<String, Object>... wrap) {
        assertThatThrownBy(() -> wrapped(optimizer, List.of(wrap)))
                .isInstanceOfSatisfying(ServiceException.class, e -> assertThat(e.code()).isEqualTo(code))
                .hasMessageContaining(message);
    }

    @Test
    void numbersOfWrappersHaveQualifiedNames() {
        var composition = new Composition(
                Map.of("name", "rmsprop"), List.of(Map.of("name", "lookahead", "alpha", 0.25)), null, null, null);
        var schedule = Map.of("name", "linear", "total_steps", 2, "hyperparameter", "lookahead.alpha");
        var settings = Settings.read(composition, List.of(), schedule);
        assertThat(settings.numberNames()).contains("alpha", "lookahead.alpha", "lookahead.k");
        var values = new double[settings.numberNames().size()];
        settings.values(0, 2, values);
        assertThat(values[settings.numberNames().indexOf("lookahead.alpha")]).isEqualTo(0.125);
        assertThat(values[settings.numberNames().indexOf("alpha")]).isEqualTo(0.99);
    }

    @Test
    void programsDoNotDependOnNumbers() {
        assertThat(program(wrapped(SGD, List.of(Map.of("name", "lookahead", "k", 3, "alpha", 0.125)))))
                .isEqualTo(program(wrapped(SGD, List.of(Map.of("name", "lookahead")))));
    }

    private static String program(Settings settings) {
        return OptimizerProgram.step(settings, new Clip.None(), "", dev.stepd.expr.Type.F32, true).toString();
    }

    @Test
    void resolvesEveryPart() {
        var settings = Settings.read(new Composition(SGD, List.of(Map.of("name", "cautious"), Map.of("name", "lookahead", "k", 7)),
                Map.of("name", "ema"), null, null), List.of(), null);
        assertThat(settings.resolvedWrap()).containsExactly(
                Map.of("name", "cautious", "scale", "mean"),
                Map.of("name", "lookahead", "k", 7.0, "alpha", 0.8, "pullback", "none"));
        assertThat(settings.resolvedAverage()).isEqualTo(Map.of("name", "ema", "decay", 0.999));
        assertThat(settings.slots("")).extracting(Spec.SlotSpec::name).containsExactly("momentum_buffer", "slow", "average");
    }

    @Test
    void presetsStandInsideWhateverIsAskedFor() {
        var expanded = new Composition(Map.of("name", "lookahead", "inner", "sgd", "momentum", 0.5),
                List.of(Map.of("name", "grokfast")), Map.of("name", "swa"), Map.of("value", 1), null).expanded();
        assertThat(expanded.optimizer()).containsEntry("name", "sgd").containsEntry("momentum", 0.5);
        assertThat(expanded.wrap()).extracting(wrapper -> wrapper.get("name")).containsExactly("lookahead", "grokfast");
        assertThat(expanded.average()).containsEntry("name", "swa");
        assertThat(expanded.clip()).containsEntry("value", 1);
        assertThat(expanded.expanded()).isEqualTo(expanded);
        assertThatThrownBy(() -> new Composition(Map.of("name", "weight_ema"), List.of(), Map.of("name", "ema"), null, null).expanded())
                .hasMessageContaining("average is {name=ema}, expected none: weight_ema stands for");
    }

    @Test
    @SuppressWarnings("unchecked")
    void namesTheNearest() {
        refuses(ErrorCode.UNKNOWN_NAME, "wrap[0].name: unknown wrapper \"lookahed\"; did you mean \"lookahead\"?",
                SGD, Map.of("name", "lookahed"));
        refuses(ErrorCode.UNKNOWN_NAME, "unknown field wrap[1].alpa; did you mean \"alpha\"?",
                SGD, Map.of("name", "cautious"), Map.of("name", "lookahead", "alpa", 1));
        refuses(ErrorCode.UNKNOWN_NAME, "unknown optimizer \"lokahead\"; did you mean \"lookahead\"?", Map.of("name", "lokahead"));
        assertThatThrownBy(() -> Settings.read(new Composition(SGD, List.of(), Map.of("name", "emma"), null, null), List.of(), null))
                .hasMessageContaining("average.name: unknown average \"emma\"; did you mean \"ema\"?");
    }

    @Test
    @SuppressWarnings("unchecked")
    void refusesWhatIsOutOfRange() {
        refuses(ErrorCode.INVALID_VALUE, "wrap[0].alpha is 1.5, expected a number from 0 to 1", SGD, Map.of("name", "lookahead", "alpha", 1.5));
        refuses(ErrorCode.INVALID_VALUE, "wrap[0].k is 0.5, expected a number at least 1", SGD, Map.of("name", "lookahead", "k", 0.5));
        refuses(ErrorCode.INVALID_VALUE, "wrap[0].momentum is 0.0, expected a number above 0 and below 1",
                SGD, Map.of("name", "schedule_free", "momentum", 0));
        refuses(ErrorCode.INVALID_VALUE, "wrap[0].window_size is 129, expected at most 128",
                SGD, Map.of("name", "grokfast", "filter", "ma", "window_size", 129));
        refuses(ErrorCode.INVALID_VALUE, "wrap[0].window_size is 2.5, expected a whole number of at least 1",
                SGD, Map.of("name", "grokfast", "filter", "ma", "window_size", 2.5));
        refuses(ErrorCode.INVALID_VALUE, "optimizer.k is 0.0, expected a number at least 1", Map.of("name", "lookahead", "k", 0));
        refuses(ErrorCode.INVALID_VALUE, "optimizer.momentum is 0.5, expected 0 where inner is adam",
                Map.of("name", "lookahead", "momentum", 0.5));
    }

    @Test
    @SuppressWarnings("unchecked")
    void refusesWhatMakesNoSenseTogether() {
        refuses(ErrorCode.INVALID_VALUE, "wrap[1].name is lookahead, expected a wrapper that is not there already",
                SGD, Map.of("name", "lookahead"), Map.of("name", "lookahead"));
        refuses(ErrorCode.INVALID_VALUE, "wrap[0].name is schedule_free, expected one that keeps no slot z: optimizer keeps one, mirror_madgrad",
                Map.of("name", "mirror_madgrad"), Map.of("name", "schedule_free"));
        refuses(ErrorCode.INVALID_VALUE, "wrap[0].pullback is reset, expected none where there is no momentum_buffer: adam has none",
                Map.of("name", "adam"), Map.of("name", "lookahead", "pullback", "reset"));
        assertThatThrownBy(() -> program(wrapped(Map.of("name", "sgd"), List.of(Map.of("name", "lookahead", "pullback", "reset")))))
                .hasMessageContaining("wrap[0].pullback is reset, expected none where there is no momentum_buffer");
        assertThatThrownBy(() -> Settings.read(new Composition(SGD, List.of(Map.of("name", "lookahead")), null, null, null),
                List.of(Map.of("match", "*", "lookahead.k", 3)), null))
                .hasMessageContaining("groups[0].lookahead.k is set for a group, expected the same value for the whole session: set it on wrap[0]");
    }

    @Test
    void clippingIsOneOfThree() {
        assertThat(Clip.read(Map.of("global_norm", 2, "norm_type", "inf")))
                .isEqualTo(new Clip.GlobalNorm(2, Double.POSITIVE_INFINITY));
        for (var clip : List.<Map<String, Object>>of(Map.of("global_norm", 2), Map.of("global_norm", 2, "norm_type", 1.5),
                Map.of("global_norm", 2, "norm_type", "inf"), Map.of("value", 0.5), Map.of("agc", 0.01))) {
            assertThat(Clip.read(Clip.read(clip).resolved())).isEqualTo(Clip.read(clip));
        }
        refusesClip("clip.agc is 0.01, expected one of global_norm, value and agc", Map.of("value", 1, "agc", 0.01));
        refusesClip("clip.agc is 0.0, expected a number above 0", Map.of("agc", 0));
        refusesClip("clip.norm_type is 0.0, expected a number above 0", Map.of("global_norm", 1, "norm_type", 0));
        refusesClip("unknown field clip.norm_type", Map.of("value", 1, "norm_type", 2));
    }

    private static void refusesClip(String message, Map<String, Object> clip) {
        assertThatThrownBy(() -> Clip.read(clip)).isInstanceOf(ServiceException.class).hasMessageContaining(message);
    }
}
