package dev.stepd.http;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.Nearest;
import dev.stepd.error.ServiceException;
import java.util.List;
import java.util.Map;

/// The catalogue as clients see it: a JSON object for each optimizer, `name` among its members. Whoever assembles the
/// server fills it, since rules are no business of this package.
public record Optimizers(List<Map<String, Object>> all) {
    public Optimizers {
        all = List.copyOf(all);
    }

    /// @throws ServiceException NOT_FOUND with the nearest name
    Map<String, Object> find(String name) {
        return all.stream().filter(optimizer -> name.equals(optimizer.get("name"))).findFirst().orElseThrow(() -> {
            var names = all.stream().map(optimizer -> (String) optimizer.get("name")).toList();
            return new ServiceException(ErrorCode.NOT_FOUND,
                    "no optimizer " + name + Nearest.hint(name, names) + "; known are " + names);
        });
    }
}
