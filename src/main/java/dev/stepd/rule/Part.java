package dev.stepd.rule;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.Fields;
import dev.stepd.error.ServiceException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// One part of a composition with its hyperparameters as an object of the session's description gave them: the optimizer, a
/// wrapper, an average.
///
/// Numbers of wrappers and averages are known under qualified names (`lookahead.alpha`), since an optimizer may have an
/// `alpha` of its own; within the part they go by their own.
final class Part {
    private final String path;
    private final String prefix;
    private final Spec spec;
    private final List<Hyperparameter.Real> reals;
    /// Switches, forms and counts by name.
    private final Map<String, Object> forms = new LinkedHashMap<>();
    private final double[] numbers;

    /// @param fields the object, its `name` read
    /// @param prefix what qualified names begin with; empty for the optimizer
    /// @throws ServiceException `UNKNOWN_NAME` or `INVALID_VALUE` naming the field, the value and the bound
    Part(Fields fields, String prefix, Spec spec) {
        this.path = fields.path("");
        this.prefix = prefix;
        this.spec = spec;
        this.reals = reals(spec, fields);
        for (var hyperparameter : spec.hyperparameters()) {
            switch (hyperparameter) {
                case Hyperparameter.Flag flag -> forms.put(flag.name(), flag.read(fields));
                case Hyperparameter.Choice choice -> forms.put(choice.name(), choice.read(fields));
                case Hyperparameter.Count count -> forms.put(count.name(), count.read(fields));
                case Hyperparameter.Real _, Hyperparameter.Numbers _ -> {}
            }
        }
        var betas = betas(fields);
        var initial = reals.stream().mapToDouble(real -> betas.getOrDefault(real.name(), real.initial())).toArray();
        this.numbers = numbers(fields, initial);
        fields.finish();
    }

    /// The numbers of a spec, lists taken apart.
    private static List<Hyperparameter.Real> reals(Spec spec, Fields fields) {
        return spec.hyperparameters().stream()
                .flatMap(hyperparameter -> switch (hyperparameter) {
                    case Hyperparameter.Real real -> Stream.of(real);
                    case Hyperparameter.Numbers list -> list.elements(list.read(fields).orElse(list.initial())).stream();
                    case Hyperparameter.Flag _, Hyperparameter.Choice _, Hyperparameter.Count _ -> Stream.empty();
                })
                .toList();
    }

    /// `betas: [b1, b2]` stands for `beta1`, `beta2` where there are those.
    private Map<String, Double> betas(Fields fields) {
        var known = reals.stream().filter(real -> real.name().matches("beta\\d")).toList();
        if (known.isEmpty() || !fields.has("betas")) {
            return Map.of();
        }
        var values = fields.array("betas");
        if (values.size() != known.size()) {
            fields.refuse("betas", values, "an array of " + known.size() + " numbers");
        }
        var byName = new LinkedHashMap<String, Object>();
        for (int i = 0; i < known.size(); i++) {
            byName.put(known.get(i).name(), values.get(i));
        }
        var read = new LinkedHashMap<String, Double>();
        var betas = Fields.of(fields.path("betas"), byName);
        known.forEach(real -> {
            if (fields.has(real.name())) {
                fields.refuse(real.name(), "given twice", "either betas or " + real.name());
            }
            read.put(real.name(), real.read(betas, Double.NaN));
        });
        return read;
    }

    /// The numbers that an object gives, and the others as they were.
    double[] numbers(Fields fields, double[] otherwise) {
        var values = otherwise.clone();
        for (var hyperparameter : spec.hyperparameters()) {
            switch (hyperparameter) {
                case Hyperparameter.Real real -> {
                    int index = index(real.name());
                    values[index] = real.read(fields, values[index]);
                }
                case Hyperparameter.Numbers list -> list.read(fields).ifPresent(given -> place(fields, list.name(), given, values));
                case Hyperparameter.Flag _, Hyperparameter.Choice _, Hyperparameter.Count _ -> {}
            }
        }
        return values;
    }

    private void place(Fields fields, String list, List<Double> given, double[] values) {
        var elements = elements(list);
        if (given.size() != elements.size()) {
            fields.refuse(list, given, "as many numbers as the optimizer has, " + elements.size());
        }
        for (int i = 0; i < elements.size(); i++) {
            values[index(elements.get(i))] = given.get(i);
        }
    }

    /// The names of a list's numbers.
    List<String> elements(String list) {
        return reals.stream().map(Hyperparameter.Real::name).filter(name -> name.startsWith(list + "[")).toList();
    }

    Spec spec() {
        return spec;
    }

    /// Where the object stands: `optimizer`, `wrap[0]`, `average`.
    String path() {
        return path.substring(0, path.length() - 1);
    }

    boolean isOptimizer() {
        return prefix.isEmpty();
    }

    String qualified(String name) {
        return prefix + name;
    }

    /// The numbers, under the names the session knows them by.
    List<Hyperparameter.Real> reals() {
        return reals.stream().map(real -> real.named(qualified(real.name()))).toList();
    }

    double[] numbers() {
        return numbers.clone();
    }

    /// Switches, forms and counts, under the names the session knows them by.
    Map<String, Object> forms() {
        var qualified = new LinkedHashMap<String, Object>();
        forms.forEach((name, value) -> qualified.put(qualified(name), value));
        return qualified;
    }

    /// A refusal of one hyperparameter's value.
    ServiceException invalid(String name, Object value, String expected) {
        return new ServiceException(ErrorCode.INVALID_VALUE, path + name + " is " + value + ", expected " + expected);
    }

    /// Whether a switch or form has a value.
    boolean chosen(String name, Object value) {
        return value.equals(forms.get(name));
    }

    double number(String name) {
        return numbers[index(name)];
    }

    /// A hyperparameter as JSON has it, which has no infinity.
    @Nullable Object value(String name) {
        return forms.containsKey(name) ? forms.get(name)
                : index(name) < 0 ? elements(name).stream().map(element -> numbers[index(element)]).toList()
                : Double.isInfinite(numbers[index(name)]) ? null : (Double) numbers[index(name)];
    }

    /// An object with everything resolved that reads as this part again.
    Map<String, @Nullable Object> resolved() {
        return as(spec.name(), spec.hyperparameters().stream().map(Hyperparameter::name).toArray(String[]::new));
    }

    /// An object of another part that takes some of these hyperparameters.
    Map<String, @Nullable Object> as(String name, String... hyperparameters) {
        var object = new LinkedHashMap<String, @Nullable Object>();
        object.put("name", name);
        for (var hyperparameter : hyperparameters) {
            object.put(hyperparameter, value(hyperparameter));
        }
        return object;
    }

    private int index(String name) {
        for (int i = 0; i < reals.size(); i++) {
            if (reals.get(i).name().equals(name)) {
                return i;
            }
        }
        return -1;
    }
}
