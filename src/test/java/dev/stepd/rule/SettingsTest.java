package dev.stepd.rule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class SettingsTest {
    @Test
    void nullTurnsAnOptionOff() {
        var settings = read("adamw", "weight_decay", null);
        assertThat(settings.on("weight_decay")).isFalse();
        assertThat(settings.resolved()).containsEntry("weight_decay", 0.0);
    }

    @Test
    void nullIsNoNumber() {
        assertThatThrownBy(() -> read("adamw", "lr", null))
                .isInstanceOfSatisfying(ServiceException.class, e -> assertThat(e.code()).isEqualTo(ErrorCode.INVALID_VALUE))
                .hasMessageContaining("optimizer.lr is missing");
    }

    /// Every number refuses what is beyond its range and takes the ends that belong to it.
    @ParameterizedTest
    @MethodSource("numbers")
    void numbersHaveTheirRange(String optimizer, Hyperparameter.Real real) {
        var range = real.range();
        assertThat(takes(optimizer, real, range.min())).isTrue();
        var outside = new ArrayList<Object>(List.of(Math.nextDown(range.min()), Double.NaN, Double.POSITIVE_INFINITY, "0.5", true));
        if (range.max() < Double.MAX_VALUE) {
            outside.add(range.maxIncluded() ? Math.nextUp(range.max()) : range.max());
        }
        for (var value : outside) {
            assertThatThrownBy(() -> read(optimizer, real.name(), value))
                    .isInstanceOfSatisfying(ServiceException.class, e -> assertThat(e.code()).isEqualTo(ErrorCode.INVALID_VALUE))
                    .hasMessageContaining("optimizer." + real.name() + " is " + value + ", expected a ");
        }
    }

    /// Whether the number may be so, or only makes no sense beside others.
    private static boolean takes(String optimizer, Hyperparameter.Real real, double value) {
        try {
            return read(optimizer, real.name(), value).resolved().containsValue(value);
        } catch (ServiceException refused) {
            return !refused.getMessage().contains("expected a number " + real.range());
        }
    }

    static Stream<Arguments> numbers() {
        return Catalogue.rules().stream().flatMap(rule -> rule.spec().hyperparameters().stream()
                .filter(Hyperparameter.Real.class::isInstance)
                .map(real -> Arguments.of(rule.spec().name(), real)));
    }

    /// Those of wrappers and averages, too.
    @ParameterizedTest
    @MethodSource("numbersAround")
    void numbersAroundHaveTheirRange(Wrapper wrapper, Hyperparameter.Real real) {
        var path = (Catalogue.wrappers().contains(wrapper) ? "wrap[0]." : "average.") + real.name();
        var range = real.range();
        assertThat(around(wrapper, real.name(), range.min()).around().getFirst().part().number(real.name())).isEqualTo(range.min());
        var outside = new ArrayList<Object>(List.of(Math.nextDown(range.min()), Double.NaN, Double.POSITIVE_INFINITY, "0.5", true));
        if (range.max() < Double.MAX_VALUE) {
            outside.add(range.maxIncluded() ? Math.nextUp(range.max()) : range.max());
        }
        for (var value : outside) {
            assertThatThrownBy(() -> around(wrapper, real.name(), value))
                    .isInstanceOfSatisfying(ServiceException.class, e -> assertThat(e.code()).isEqualTo(ErrorCode.INVALID_VALUE))
                    .hasMessageContaining(path + " is " + value + ", expected a ");
        }
    }

    static Stream<Arguments> numbersAround() {
        return Stream.concat(Catalogue.wrappers().stream(), Catalogue.averages().stream())
                .flatMap(wrapper -> wrapper.spec().hyperparameters().stream()
                        .filter(Hyperparameter.Real.class::isInstance)
                        .map(real -> Arguments.of(wrapper, real)));
    }

    private static Settings around(Wrapper wrapper, String field, Object value) {
        var object = Map.<String, Object>of("name", wrapper.spec().name(), field, value);
        boolean wraps = Catalogue.wrappers().contains(wrapper);
        return Settings.read(new Composition(Map.of("name", "sgd"), wraps ? List.of(object) : List.of(), wraps ? null : object,
                null, null), List.of(), null);
    }

    @Test
    void namesTheNearest() {
        refuses(ErrorCode.UNKNOWN_NAME, "unknown optimizer \"admw\"; did you mean \"adamw\"?", Map.of("name", "admw"));
        refuses(ErrorCode.UNKNOWN_NAME, "unknown field optimizer.weightdecay; did you mean \"weight_decay\"?",
                Map.of("name", "adamw", "weightdecay", 0.1));
        refuses(ErrorCode.UNKNOWN_NAME, "unknown field optimizer.zzzzzzzz; known are [beta", Map.of("name", "adamw", "zzzzzzzz", 1));
        refuses(ErrorCode.INVALID_VALUE, "optimizer.name is missing", Map.of("lr", 0.1));
        refuses(ErrorCode.INVALID_VALUE, "optimizer.name is 3, expected a string", Map.of("name", 3));
    }

    @Test
    void betasStandForBeta1AndBeta2() {
        var resolved = read("adamw", "betas", List.of(0.5, 0.25)).resolved();
        assertThat(resolved).containsEntry("beta1", 0.5).containsEntry("beta2", 0.25).doesNotContainKey("betas");
        refuses(ErrorCode.INVALID_VALUE, "optimizer.betas is [0.5], expected an array of 2 numbers",
                Map.of("name", "adamw", "betas", List.of(0.5)));
        refuses(ErrorCode.INVALID_VALUE, "optimizer.betas.beta2 is 1.0", Map.of("name", "adamw", "betas", List.of(0.5, 1.0)));
        refuses(ErrorCode.INVALID_VALUE, "optimizer.beta1 is given twice, expected either betas or beta1",
                Map.of("name", "adamw", "betas", List.of(0.5, 0.5), "beta1", 0.5));
        refuses(ErrorCode.INVALID_VALUE, "optimizer.betas is 0.9, expected an array", Map.of("name", "adamw", "betas", 0.9));
        refuses(ErrorCode.UNKNOWN_NAME, "unknown field optimizer.betas", Map.of("name", "sgd", "betas", List.of(0.5, 0.5)));
    }

    @Test
    void listsAreAsLongAsTheyAreGiven() {
        var settings = read("aggmo", "betas", List.of(0, 0.5));
        assertThat(settings.resolved()).containsEntry("betas", List.of(0.0, 0.5));
        assertThat(settings.rule().slots(settings, "")).extracting(Spec.SlotSpec::name)
                .containsExactly("momentum_buffer.0", "momentum_buffer.1");
        assertThat(read("aggmo", "lr", 0.5).resolved()).containsEntry("betas", List.of(0.0, 0.9, 0.99));
    }

    @Test
    void listsRefuseWhatIsOutOfRange() {
        refuses(ErrorCode.INVALID_VALUE, "optimizer.betas[1] is 1.5, expected a number from 0 to below 1",
                Map.of("name", "aggmo", "betas", List.of(0.5, 1.5, -1)));
        refuses(ErrorCode.INVALID_VALUE, "optimizer.betas[0] is 0.5, expected a number from 0 to below 1",
                Map.of("name", "aggmo", "betas", List.of("0.5")));
        refuses(ErrorCode.INVALID_VALUE, "optimizer.betas[0] is NaN, expected a number",
                Map.of("name", "aggmo", "betas", List.of(Double.NaN)));
        refuses(ErrorCode.INVALID_VALUE, "optimizer.betas is [], expected an array of 1 to 8 numbers",
                Map.of("name", "aggmo", "betas", List.of()));
        refuses(ErrorCode.INVALID_VALUE, "optimizer.betas is [0, 0, 0, 0, 0, 0, 0, 0, 0], expected an array of 1 to 8 numbers",
                Map.of("name", "aggmo", "betas", Collections.nCopies(9, 0)));
        refuses(ErrorCode.INVALID_VALUE, "optimizer.betas is 0.9, expected an array", Map.of("name", "aggmo", "betas", 0.9));
        refuses(ErrorCode.UNKNOWN_NAME, "unknown field optimizer.betas[0]", Map.of("name", "aggmo", "betas[0]", 0.5));
        refuses(ErrorCode.UNKNOWN_NAME, "unknown field optimizer.beta; did you mean \"betas\"?", Map.of("name", "aggmo", "beta", 0.5));
        assertThatThrownBy(() -> read("aggmo", "betas", null)).hasMessageContaining("optimizer.betas is missing");
    }

    @Test
    void groupsAndSchedulesChangeTheNumbersOfLists() {
        var optimizer = Map.<String, Object>of("name", "aggmo", "betas", List.of(0.25, 0.5));
        var settings = Settings.read(optimizer, List.of(Map.of("match", "w", "betas", List.of(0.125, 0.75))),
                Map.of("name", "linear", "total_steps", 2, "hyperparameter", "betas[1]"));
        var values = new double[settings.numberNames().size()];
        settings.values(1, 2, values);
        assertThat(values[settings.numberNames().indexOf("betas[0]")]).isEqualTo(0.125);
        assertThat(values[settings.numberNames().indexOf("betas[1]")]).isEqualTo(0.375);
        assertThatThrownBy(() -> Settings.read(optimizer, List.of(Map.of("match", "w", "betas", List.of(0.5))), null))
                .hasMessageContaining("groups[0].betas is [0.5], expected as many numbers as the optimizer has, 2");
    }

    @Test
    void choicesAndFlagsAreWhatTheyAre() {
        refuses(ErrorCode.INVALID_VALUE, "optimizer.max_on is \"Raw\", expected one of [raw, bias_corrected]",
                Map.of("name", "amsgrad", "max_on", "Raw"));
        refuses(ErrorCode.INVALID_VALUE, "optimizer.nesterov is 1, expected true or false", Map.of("name", "sgd", "nesterov", 1));
        refuses(ErrorCode.INVALID_VALUE, "optimizer.nesterov is true, expected false unless momentum",
                Map.of("name", "sgd", "nesterov", true));
    }

    @Test
    void someChoicesMayBeWholeNumbers() {
        assertThat(read("subset_norm", "subset_size", -2).resolved()).containsEntry("subset_size", -2L);
        assertThat(read("subset_norm", "lr", 1).resolved()).containsEntry("subset_size", "heuristics");
        for (Object wrong : List.of(0, 2.5)) {
            refuses(ErrorCode.INVALID_VALUE, "optimizer.subset_size is " + wrong + ", expected a whole number other than 0",
                    Map.of("name", "subset_norm", "subset_size", wrong));
        }
        refuses(ErrorCode.INVALID_VALUE, "optimizer.subset_size is \"rows\", expected one of [heuristics] or a whole number",
                Map.of("name", "subset_norm", "subset_size", "rows"));
    }

    @Test
    void boundsStandInOrder() {
        refuses(ErrorCode.INVALID_VALUE, "optimizer.step_size_min is 2.0, expected a number of at most step_size_max, 1.0",
                Map.of("name", "rprop", "step_size_min", 2, "step_size_max", 1));
        assertThat(read("rprop", "step_size_min", 50).resolved()).containsEntry("step_size_max", 50.0);
        assertThatThrownBy(() -> Settings.read(
                        Map.of("name", "core"), List.of(Map.of("match", "w", "step_size_max", 1e-7)), null))
                .hasMessageContaining("groups[0].step_size_min is 1.0E-6, expected a number of at most step_size_max, 1.0E-7");
    }

    @Test
    void historiesAreNoneOrWhole() {
        refuses(ErrorCode.INVALID_VALUE, "optimizer.score_history is 0.5, expected 0 or a number of at least 1",
                Map.of("name", "core", "score_history", 0.5));
    }

    @Test
    void groupsOverrideNumbersOfTheFirstMatch() {
        var settings = Settings.read(
                Map.of("name", "adamw", "lr", 0.5, "weight_decay", 0.1),
                List.of(Map.of("match", "*.bias", "lr", 0.25), Map.of("match", "layer.*", "lr", 0.125)),
                null);
        var values = new double[settings.numberNames().size()];
        int lr = settings.numberNames().indexOf("lr");
        var rates = Stream.of("layer.1.bias", "layer.1.weight", "other")
                .map(name -> {
                    settings.values(settings.groupOf(name), 1, values);
                    return values[lr];
                })
                .toList();
        assertThat(rates).containsExactly(0.25, 0.125, 0.5);
        assertThat(settings.groupCount()).isEqualTo(3);
    }

    @Test
    void groupsChangeNumbersOnly() {
        refusesGroup(ErrorCode.INVALID_VALUE,
                "groups[0].maximize is set for a group, expected the same value for the whole session",
                Map.of("match", "*", "maximize", true));
        refusesGroup(ErrorCode.INVALID_VALUE, "groups[0].match is missing", Map.of("lr", 0.1));
        refusesGroup(ErrorCode.INVALID_VALUE, "groups[0].lr is -1.0, expected a number at least 0", Map.of("match", "*", "lr", -1.0));
        refusesGroup(ErrorCode.UNKNOWN_NAME, "unknown field groups[0].lrr; did you mean \"lr\"?", Map.of("match", "*", "lrr", 1.0));
    }

    private static void refuses(ErrorCode code, String message, Map<String, Object> optimizer) {
        assertThatThrownBy(() -> Settings.read(optimizer, List.of(), null))
                .isInstanceOfSatisfying(ServiceException.class, e -> assertThat(e.code()).isEqualTo(code))
                .hasMessageContaining(message);
    }

    private static void refusesGroup(ErrorCode code, String message, Map<String, Object> group) {
        assertThatThrownBy(() -> Settings.read(Map.of("name", "adamw"), List.of(group), null))
                .isInstanceOfSatisfying(ServiceException.class, e -> assertThat(e.code()).isEqualTo(code))
                .hasMessageContaining(message);
    }

    private static Settings read(String optimizer, String field, Object value) {
        var description = new HashMap<String, Object>(Map.of("name", optimizer));
        description.put(field, value);
        return Settings.read(description, List.of(), null);
    }
}
