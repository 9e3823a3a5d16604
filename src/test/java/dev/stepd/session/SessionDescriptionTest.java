package dev.stepd.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.stepd.engine.Engine.NonFinite;
import dev.stepd.error.ErrorCode;
import dev.stepd.error.ServiceException;
import dev.stepd.tensor.DType;
import dev.stepd.tensor.Shape;
import java.io.IOException;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SessionDescriptionTest {
    private static final String TENSORS = "\"optimizer\":{\"name\":\"sgd\"},\"tensors\":[{\"name\":\"w\",\"shape\":[2]}]";

    @Test
    void readsEverything() {
        var description = parse("""
                {"name": "digits", "optimizer": {"name": "adamw", "lr": 0.001},
                 "tensors": [{"name": "w", "shape": [64, 10], "dtype": "F32"}, {"name": "b", "shape": []}],
                 "groups": [{"match": "b", "weight_decay": 0.0}], "schedule": {"name": "cosine"}, "clip": {"value": 1},
                 "wrap": null, "average": null, "state": {"format": "f32"}, "non_finite": "skip",
                 "durability": "none", "snapshot_every": 7, "device": "cpu"}""");
        assertThat(description.name()).isEqualTo("digits");
        assertThat(description.blueprint().composition().optimizer()).containsEntry("lr", 0.001);
        assertThat(description.blueprint().tensors()).extracting(t -> t.shape()).containsExactly(Shape.of(64, 10), Shape.of());
        assertThat(description.blueprint().tensors()).extracting(t -> t.dtype()).containsOnly(DType.F32);
        assertThat(description.blueprint().groups()).containsExactly(Map.of("match", "b", "weight_decay", 0.0));
        assertThat(description.blueprint().schedule()).isEqualTo(Map.of("name", "cosine"));
        assertThat(description.blueprint().composition().clip()).containsEntry("value", 1);
        assertThat(description.blueprint().nonFinite()).isEqualTo(NonFinite.SKIP);
        assertThat(description.durability()).isEqualTo(Durability.NONE);
        assertThat(description.snapshotEvery()).isEqualTo(7);
    }

    @Test
    void fillsInDefaults() {
        var description = parse("{" + TENSORS + "}");
        assertThat(description.name()).isEqualTo("unnamed");
        assertThat(description.durability()).isEqualTo(Durability.SNAPSHOT);
        assertThat(description.blueprint().nonFinite()).isEqualTo(NonFinite.REJECT);
        assertThat(description.blueprint().groups()).isEmpty();
        assertThat(description.blueprint().schedule()).isNull();
        assertThat(description.device()).isEqualTo("auto");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
        "\"durabilty\":\"none\" | UNKNOWN_NAME | unknown field durabilty; did you mean \"durability\"?",
        "\"name\":7 | INVALID_VALUE | name is 7, expected a string",
        "\"groups\":{} | INVALID_VALUE | groups is {}, expected an array",
        "\"groups\":[1] | INVALID_VALUE | groups[0] is 1, expected a JSON object",
        "\"schedule\":\"cosine\" | INVALID_VALUE | schedule is cosine, expected an object or an array",
        "\"clip\":[] | INVALID_VALUE | clip is [], expected a JSON object",
        "\"wrap\":{\"name\":\"lookahead\"} | INVALID_VALUE | wrap is {name=lookahead}, expected an array",
        "\"wrap\":[\"lookahead\"] | INVALID_VALUE | wrap[0] is lookahead, expected a JSON object",
        "\"average\":\"ema\" | INVALID_VALUE | average is ema, expected a JSON object",
        "\"state\":\"int8\" | INVALID_VALUE | state is int8, expected a JSON object",
        "\"non_finite\":\"ignore\" | INVALID_VALUE | non_finite is ignore, expected one of [reject, skip, propagate]",
        "\"durability\":\"journl\" | INVALID_VALUE | did you mean \"journal\"?",
        "\"durability\":\"snapshots\" | INVALID_VALUE | did you mean \"snapshot\"?",
        "\"snapshot_every\":0 | INVALID_VALUE | snapshot_every is 0, expected a whole number of at least 1",
        "\"snapshot_every\":1.5 | INVALID_VALUE | snapshot_every is 1.5",
        "\"device\":1 | INVALID_VALUE | device is 1, expected a string",
    })
    void refusesAField(String field, ErrorCode code, String message) {
        assertRefused("{" + TENSORS + "," + field + "}", code, message);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
        "{\"shape\":[1]} | INVALID_VALUE | tensors[0].name is missing",
        "{\"name\":\"\",\"shape\":[1]} | INVALID_VALUE | tensors[0].name is , expected 1 to 512 characters",
        "{\"name\":\"a#b\",\"shape\":[1]} | INVALID_VALUE | tensors[0].name is a#b",
        "{\"name\":\"__metadata__\",\"shape\":[1]} | INVALID_VALUE | tensors[0].name is __metadata__",
        "{\"name\":\"a\"} | INVALID_VALUE | tensors[0].shape is missing",
        "{\"name\":\"a\",\"shape\":3} | INVALID_VALUE | tensors[0].shape is 3, expected an array",
        "{\"name\":\"a\",\"shape\":[2,-1]} | INVALID_VALUE | tensors[0].shape[1] is -1, expected a whole number",
        "{\"name\":\"a\",\"shape\":[2.5]} | INVALID_VALUE | tensors[0].shape[0] is 2.5",
        "{\"name\":\"a\",\"shape\":[1e300]} | INVALID_VALUE | tensors[0].shape[0] is 1.0E300",
        "{\"name\":\"a\",\"shape\":[\"2\"]} | INVALID_VALUE | tensors[0].shape[0] is 2",
        "{\"name\":\"a\",\"shape\":[4294967296,4294967296]} | INVALID_VALUE | more than 2^63-1 elements",
        "{\"name\":\"a\",\"shape\":[4294967296,33554432]} | OUT_OF_MEMORY | need more than",
        "{\"name\":\"a\",\"shape\":[1],\"dtype\":\"F64\"} | INVALID_VALUE | tensors[0].dtype is F64, expected F32, F16 or BF16",
        "{\"name\":\"a\",\"shape\":[1],\"dtype\":\"float\"} | UNKNOWN_NAME | unknown dtype",
        "{\"name\":\"a\",\"shape\":[1],\"shap\":[1]} | UNKNOWN_NAME | unknown field tensors[0].shap",
        "{\"name\":\"a\",\"shape\":[1]},{\"name\":\"a\",\"shape\":[2]} | INVALID_VALUE | tensors[1].name is a, expected a name no other",
    })
    void refusesATensor(String tensor, ErrorCode code, String message) {
        assertRefused("{\"optimizer\":{\"name\":\"sgd\"},\"tensors\":[" + tensor + "]}", code, message);
    }

    @Test
    void refusesWhatIsMissingOrTooLong() {
        assertRefused("[]", ErrorCode.INVALID_VALUE, "the body is [], expected a JSON object");
        assertRefused("{}", ErrorCode.INVALID_VALUE, "optimizer is missing");
        assertRefused("{\"optimizer\":{}}", ErrorCode.INVALID_VALUE, "tensors is empty");
        assertRefused("{" + TENSORS + ",\"name\":\"" + "n".repeat(201) + "\"}", ErrorCode.INVALID_VALUE, "201 characters");
        assertRefused("{\"optimizer\":{},\"tensors\":[{\"name\":\"" + "n".repeat(513) + "\",\"shape\":[]}]}",
                ErrorCode.INVALID_VALUE, "expected 1 to 512 characters");
    }

    @Test
    void patchesSingleHyperparameters() throws IOException {
        var merged = DescriptionPatch.apply(json("{\"name\":\"a\",\"optimizer\":{\"name\":\"adam\",\"lr\":1,\"beta1\":0.9,\"beta2\":0.99},"
                + "\"schedule\":{\"name\":\"cosine\"}}"), json("{\"optimizer\":{\"betas\":[0.1,0.2]},\"schedule\":null}"));
        assertThat(merged.get("optimizer")).isEqualTo(json("{\"name\":\"adam\",\"lr\":1,\"betas\":[0.1,0.2]}"));
        assertThat(merged).containsEntry("schedule", null).containsEntry("name", "a");
    }

    @Test
    void patchesNothingElse() throws IOException {
        var description = json("{\"name\":\"a\",\"optimizer\":{\"name\":\"adam\"},\"tensors\":[]}");
        assertThatThrownBy(() -> DescriptionPatch.apply(description, Map.of("tensors", 1))).hasMessageContaining("tensors cannot be changed");
        assertThatThrownBy(() -> DescriptionPatch.apply(description, Map.of("nam", 1))).hasMessageContaining("did you mean \"name\"");
        assertThatThrownBy(() -> DescriptionPatch.apply(description, Map.of("optimizer", Map.of("name", "sgd"))))
                .hasMessageContaining("optimizer.name is sgd, expected adam");
    }

    private static void assertRefused(String json, ErrorCode code, String message) {
        assertThatThrownBy(() -> parse(json))
                .isInstanceOfSatisfying(ServiceException.class, e -> assertThat(e.code()).isEqualTo(code))
                .hasMessageContaining(message);
    }

    private static SessionDescription parse(String json) {
        try {
            return SessionDescription.parse(Json.read(json));
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> json(String text) throws IOException {
        return (Map<String, Object>) Json.read(text);
    }
}
