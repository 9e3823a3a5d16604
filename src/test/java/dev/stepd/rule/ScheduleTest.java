package dev.stepd.rule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Offset.offset;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/// Schedules against formulas written down once more, one-cycle against torch 2.13.0 `OneCycleLR`, and what is refused.
class ScheduleTest {
    private static final double BASE = 0.3;

    private static double rate(Map<String, Object> schedule, long step) {
        return value("lr", Map.of("name", "adamw", "lr", BASE), schedule, step);
    }

    private static double value(String name, Map<String, Object> optimizer, Object schedule, long step) {
        var settings = Settings.read(optimizer, List.of(), schedule);
        var values = new double[settings.numberNames().size()];
        settings.values(0, step, values);
        return values[settings.numberNames().indexOf(name)];
    }

    /// A schedule and its value as a function of the finished steps.
    private static Arguments row(Map<String, Object> schedule, DoubleUnaryOperator formula) {
        return Arguments.of(schedule, formula);
    }

    static Stream<Arguments> schedules() {
        return Stream.of(
                row(Map.of("name", "constant"), k -> BASE),
                row(Map.of("name", "constant", "warmup_steps", 5), k -> k < 5 ? BASE * (k + 1) / 5 : BASE),
                row(Map.of("name", "linear", "total_steps", 40), k -> BASE * Math.max(0, 40 - k) / 40),
                row(
                        Map.of("name", "linear", "total_steps", 40, "warmup_steps", 10, "min_lr", 0.03),
                        k -> k < 10 ? BASE * (k + 1) / 10 : 0.03 + 0.27 * Math.max(0, 40 - k) / 30),
                row(
                        Map.of("name", "cosine", "total_steps", 50, "warmup_steps", 7, "min_lr", 0.01),
                        k -> k < 7 ? BASE * (k + 1) / 7
                                : 0.01 + 0.29 * 0.5 * (1 + Math.cos(Math.PI * Math.min(1, (k - 7) / 43)))),
                row(
                        Map.of("name", "cosine", "total_steps", 20, "min", 0.1),
                        k -> 0.1 + 0.1 * (1 + Math.cos(Math.PI * Math.min(20, k) / 20))),
                row(
                        Map.of("name", "polynomial", "total_steps", 30, "power", 2),
                        k -> BASE * Math.pow(1 - Math.min(30, k) / 30, 2)),
                row(
                        Map.of("name", "polynomial", "total_steps", 30, "power", 0.5, "warmup_steps", 3),
                        k -> k < 3 ? BASE * (k + 1) / 3 : BASE * Math.sqrt(1 - (Math.min(30, k) - 3) / 27)),
                row(Map.of("name", "step", "step_size", 8), k -> BASE * Math.pow(0.1, (int) k / 8)),
                row(
                        Map.of("name", "step", "step_size", 8, "gamma", 0.5, "warmup_steps", 4, "min_lr", 0.1),
                        k -> k < 4 ? BASE * (k + 1) / 4 : 0.1 + 0.2 * Math.pow(0.5, ((int) k - 4) / 8)),
                row(Map.of("name", "exponential"), k -> BASE * Math.pow(0.99, k)),
                row(Map.of("name", "exponential", "gamma", 0.9), k -> BASE * Math.pow(0.9, k)),
                row(
                        Map.of("name", "warmup_stable_decay", "warmup_steps", 5, "total_steps", 30, "decay_steps", 10),
                        k -> BASE * (k < 5 ? (k + 1) / 5 : k < 20 ? 1 : k < 30 ? 1 - (k - 20) / 10 : 0)),
                row(
                        Map.of("name", "warmup_stable_decay", "total_steps", 10, "decay_steps", 10, "min_lr", 0.06),
                        k -> 0.06 + 0.24 * Math.max(0, 1 - k / 10)));
    }

    @ParameterizedTest
    @MethodSource("schedules")
    void isItsFormula(Map<String, Object> schedule, DoubleUnaryOperator formula) {
        for (long step = 1; step <= 70; step++) {
            assertThat(rate(schedule, step)).as("step %d", step).isCloseTo(formula.applyAsDouble(step - 1), offset(1e-15));
        }
    }

    static Stream<Arguments> cycles() {
        return Stream.of(
                Arguments.of(0.1, Map.of("name", "one_cycle", "total_steps", 10), new double[] {
                    0.004, 0.052, 0.1, 0.09504846320134738, 0.0811745653949763, 0.06112620219362893, 0.03887419780637107,
                    0.0188258346050237, 0.004951936798652629, 4e-07
                }),
                Arguments.of(
                        0.003,
                        Map.of("name", "one_cycle", "total_steps", 17, "pct_start", 0.25, "div_factor", 10, "final_div_factor", 100),
                        new double[] {
                            0.0003, 0.0008831125919129398, 0.002128716597507423, 0.00296077145352517,
                            0.002974485189876327, 0.002862835209821556, 0.002668952240926717, 0.0024045480026143157,
                            0.00208559413112908, 0.0017313573948357103, 0.001363235863344242, 0.0010034663329797301,
                            0.000673781088018682, 0.00039409513754484255, 0.00018130322686275195,
                            4.825929135153844e-05, 3e-06
                        }),
                Arguments.of(
                        1.0,
                        Map.of("name", "one_cycle", "total_steps", 7, "pct_start", 0.5, "div_factor", 4, "final_div_factor", 1000),
                        new double[] {
                            0.25, 0.5091186271093947, 0.9283813728906053, 0.9504968128427217, 0.6113576518614127,
                            0.1884580352958656, 0.00025
                        }));
    }

    @ParameterizedTest
    @MethodSource("cycles")
    void oneCycleIsTorchs(double top, Map<String, Object> schedule, double[] torch) {
        for (int step = 1; step <= torch.length + 3; step++) {
            double mine = value("lr", Map.of("name", "sgd", "lr", top), schedule, step);
            assertThat(mine).as("step %d", step).isCloseTo(torch[Math.min(step, torch.length) - 1], offset(top * 1e-15));
        }
    }

    @Test
    void movesAnyNumberForEachGroupFromItsOwn() {
        var schedules = List.of(
                Map.of("name", "linear", "total_steps", 10),
                Map.of("name", "exponential", "gamma", 0.5, "hyperparameter", "weight_decay"));
        var settings = Settings.read(
                Map.of("name", "adamw", "lr", 1.0, "weight_decay", 0.8), List.of(Map.of("match", "b", "lr", 0.1)), schedules);
        var values = new double[settings.numberNames().size()];
        settings.values(1, 3, values);
        assertThat(values[settings.numberNames().indexOf("lr")]).isCloseTo(0.08, offset(1e-16));
        assertThat(values[settings.numberNames().indexOf("weight_decay")]).isCloseTo(0.2, offset(1e-16));
        assertThat(values[settings.numberNames().indexOf("beta1")]).isEqualTo(0.9);
    }

    static Stream<Arguments> refusals() {
        return Stream.of(
                refusal(ErrorCode.UNKNOWN_NAME, "schedule.name: unknown schedule \"cosin\"; did you mean \"cosine\"", "name", "cosin"),
                refusal(ErrorCode.INVALID_VALUE, "schedule.total_steps is missing", "name", "cosine"),
                refusal(ErrorCode.INVALID_VALUE, "schedule.name is missing", "total_steps", 3),
                refusal(ErrorCode.INVALID_VALUE, "schedule.total_steps is 5, expected a whole number of at least 6",
                        "name", "linear", "total_steps", 5, "warmup_steps", 5),
                refusal(ErrorCode.INVALID_VALUE, "schedule.total_steps is 14, expected a whole number of at least 15",
                        "name", "warmup_stable_decay", "total_steps", 14, "warmup_steps", 5, "decay_steps", 10),
                refusal(ErrorCode.INVALID_VALUE, "schedule.warmup_steps is -1", "name", "constant", "warmup_steps", -1),
                refusal(ErrorCode.INVALID_VALUE, "schedule.step_size is 0", "name", "step", "step_size", 0),
                refusal(ErrorCode.INVALID_VALUE, "schedule.gamma is -0.5", "name", "exponential", "gamma", -0.5),
                refusal(ErrorCode.INVALID_VALUE, "schedule.min_lr is -1.0", "name", "cosine", "total_steps", 9, "min_lr", -1.0),
                refusal(ErrorCode.INVALID_VALUE, "schedule.pct_start is 0.05", "name", "one_cycle", "total_steps", 10, "pct_start", 0.05),
                refusal(ErrorCode.UNKNOWN_NAME, "unknown field schedule.total_step; did you mean \"total_steps\"",
                        "name", "cosine", "total_steps", 9, "total_step", 9),
                refusal(ErrorCode.UNKNOWN_NAME, "schedule.hyperparameter: adamw has no number \"learning\"",
                        "name", "constant", "hyperparameter", "learning"),
                refusal(ErrorCode.UNKNOWN_NAME, "did you mean \"beta1\"", "name", "constant", "hyperparameter", "beta"),
                // A decay rate stays below 1, whatever its schedule.
                refusal(ErrorCode.INVALID_VALUE, "schedule.gamma is 1.5, expected", "name", "exponential", "gamma", 1.5, "hyperparameter", "beta1"),
                refusal(ErrorCode.INVALID_VALUE, "schedule.div_factor is 0.5, expected",
                        "name", "one_cycle", "total_steps", 10, "div_factor", 0.5, "hyperparameter", "beta2"),
                refusal(ErrorCode.INVALID_VALUE, "schedule.final_div_factor is 0.01, expected",
                        "name", "one_cycle", "total_steps", 10, "final_div_factor", 0.01, "hyperparameter", "beta2"),
                refusal(ErrorCode.INVALID_VALUE, "schedule.min is 1.0, expected a number from 0 to below 1",
                        "name", "linear", "total_steps", 10, "min", 1.0, "hyperparameter", "beta1"));
    }

    private static Arguments refusal(ErrorCode code, String message, Object... fields) {
        var schedule = new HashMap<String, Object>();
        for (int i = 0; i < fields.length; i += 2) {
            schedule.put((String) fields[i], fields[i + 1]);
        }
        return Arguments.of(code, message, schedule);
    }

    @ParameterizedTest
    @MethodSource("refusals")
    void refuses(ErrorCode code, String message, Map<String, Object> schedule) {
        assertThatThrownBy(() -> Settings.read(Map.of("name", "adamw"), List.of(), schedule))
                .isInstanceOfSatisfying(ServiceException.class, e -> assertThat(e.code()).isEqualTo(code))
                .hasMessageContaining(message);
    }

    @Test
    void refusesTwoOfOneNumber() {
        var twice = List.of(Map.of("name", "constant"), Map.of("name", "constant", "hyperparameter", "lr"));
        assertThatThrownBy(() -> Settings.read(Map.of("name", "adamw"), List.of(), twice))
                .hasMessageContaining("schedule[1].hyperparameter is lr, expected one schedule for each hyperparameter");
    }
}
