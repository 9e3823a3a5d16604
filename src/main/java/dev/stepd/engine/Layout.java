package dev.stepd.engine;

import dev.stepd.device.Domain;
import dev.stepd.rule.View;
import dev.stepd.tensor.TensorSpec;
import java.util.ArrayList;
import java.util.List;

/// How the tensors of a session lie end to end in a flat array: kind by kind, in each group by group, in each of these in
/// declared order.
///
/// @param places one for each tensor, in flat order
/// @param elementCount elements of the flat array
public record Layout(List<Place> places, long elementCount) {
    /// @param index the tensor's position in the session's declaration
    /// @param group the group it belongs to; 0 is the default group, `i + 1` the session's `groups[i]`
    /// @param offset elements before it in the flat array
    /// @param origin elements of the tensors that the session declares before it, wherever they lie
    public record Place(TensorSpec tensor, int index, Kind kind, View view, int group, long offset, long origin) {
        public long elementCount() {
            return tensor.elementCount();
        }
    }

    public Layout {
        places = List.copyOf(places);
    }

    /// @param kinds, views, groups of each tensor, by declared index
    static Layout of(List<TensorSpec> tensors, List<Kind> kinds, List<View> views, List<Integer> groups) {
        var places = new ArrayList<Place>();
        var origins = origins(tensors);
        long offset = 0;
        int groupCount = groups.stream().mapToInt(g -> g).max().orElse(0) + 1;
        for (var kind : kinds.stream().distinct().toList()) {
            for (int group = 0; group < groupCount; group++) {
                for (int i = 0; i < tensors.size(); i++) {
                    if (kinds.get(i).equals(kind) && groups.get(i) == group) {
                        places.add(new Place(tensors.get(i), i, kind, views.get(i), group, offset, origins[i]));
                        offset = Math.addExact(offset, tensors.get(i).elementCount());
                    }
                }
            }
        }
        return new Layout(places, offset);
    }

    private static long[] origins(List<TensorSpec> tensors) {
        var origins = new long[tensors.size()];
        for (int i = 1; i < origins.length; i++) {
            origins[i] = Math.addExact(origins[i - 1], tensors.get(i - 1).elementCount());
        }
        return origins;
    }

    /// The kinds there are, in flat order.
    List<Kind> kinds() {
        return places.stream().map(Place::kind).distinct().toList();
    }

    /// The tensors of a kind, which lie next to each other.
    List<Place> places(Kind kind) {
        return places.stream().filter(place -> place.kind().equals(kind)).toList();
    }

    /// What a device has to know of some of the tensors.
    static Domain domain(List<Place> places, int groups) {
        var tensors = new ArrayList<Domain.Tensor>();
        for (var place : places) {
            var view = place.view();
            tensors.add(new Domain.Tensor(
                    place.elementCount(), view.slabs(), view.rows(), place.group(), place.origin()));
        }
        return new Domain(tensors, groups);
    }
}
