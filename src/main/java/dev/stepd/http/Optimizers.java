package dev.stepd.http;

import dev.stepd.error.ErrorCode;
import dev.stepd.error.Nearest;
import dev.stepd.error.ServiceException;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// The catalogue as clients see it: a JSON object for each optimizer, `name` among its members. Whoever assembles the
/// server fills it, since rules are no business of this package.
public record Optimizers(List<Map<String, Object>> all) {
    public Optimizers {
        all = List.copyOf(all);
    }

    /// The first of a name, which is the one that `optimizer.name` takes if there are more.
    ///
    /// @param kind whose `kind` has to be this one; empty for any
    /// @throws ServiceException NOT_FOUND with the nearest name
    Map<String, Object> find(String name, Optional<String> kind) {
        var among = all.stream().filter(one -> kind.isEmpty() || kind.get().equals(one.get("kind"))).toList();
        return among.stream().filter(one -> name.equals(one.get("name"))).findFirst().orElseThrow(() -> {
            var names = among.stream().map(one -> (String) one.get("name")).distinct().toList();
            return new ServiceException(ErrorCode.NOT_FOUND,
                    "no " + kind.orElse("optimizer") + " " + name + Nearest.hint(name, names) + "; known are " + names);
        });
    }
}
